// A library with thread-local memory at a fixed place, which only so many libraries can have.
#include "keep.h"
#include <stdlib.h>

static __thread __attribute__((tls_model("initial-exec"))) volatile char memory[256];

__attribute__((constructor)) static void loaded(void) {
    memory[opaque(255)] = 1;
    keep(malloc(48));
}
