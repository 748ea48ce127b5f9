// Functions that allocate a block each, and bear the name of what becomes of it.
#pragma once
#include "keep.h"
#include <stdlib.h>

// A block that nothing but what the caller does with it points to.
#define BLOCK(name, size)                                                                                    \
    FUNCTION void *name(void) {                                                                              \
        void *block = calloc(1, size);                                                                       \
        __asm__ volatile("# " #name : "+r"(block) : : "memory");                                                   \
        return block;                                                                                        \
    }
