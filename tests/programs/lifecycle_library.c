// Makes 5 blocks when it is loaded, and frees 4 of them when it is unloaded, which is after main's program is done.
#include "keep.h"
#include <stdlib.h>

static void *blocks[5];

__attribute__((constructor)) static void loaded(void) {
    for (int i = 0; i < 5; i++)
        blocks[i] = malloc(300);
}

__attribute__((destructor)) static void unloaded(void) {
    for (int i = 0; i < 4; i++)
        free(blocks[i]);
    keep(malloc(301));
}

int library_works(void) { return blocks[4] != NULL; }
