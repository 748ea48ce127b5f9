// Every function of C that gives out, moves or takes back a block. The comments say what is live at the end; what
// lines without one allocate has been freed.
#define _GNU_SOURCE
#include "keep.h"
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

FUNCTION void by_malloc(void) {
    for (int i = 0; i < 3; i++)
        keep(malloc(24)); // leak: 3 blocks, 72 bytes by malloc in by_malloc
    keep(malloc(0)); // leak: 1 block, 0 bytes by malloc in by_malloc
    free(malloc(1000));
    free(NULL);
}

FUNCTION void by_calloc(void) {
    keep(calloc(5, 7)); // leak: 1 block, 35 bytes by calloc in by_calloc
    free(calloc(10, 100));
    if (calloc(opaque(SIZE_MAX / 2), 4)) // overflows: no block
        abort();
}

FUNCTION void by_realloc(void) {
    void *grown = malloc(100);
    keep(realloc(grown, 10000)); // leak: 1 block, 10000 bytes by realloc in by_realloc
    void *shrunk = malloc(100);
    keep(realloc(shrunk, 10)); // leak: 1 block, 10 bytes by realloc in by_realloc
    keep(realloc(NULL, 50)); // leak: 1 block, 50 bytes by realloc in by_realloc
    void *freed = malloc(100);
    if (realloc(freed, opaque(0)))
        abort();
    void *survivor = malloc(60); // leak: 1 block, 60 bytes by malloc in by_realloc
    if (realloc(survivor, opaque(PTRDIFF_MAX)))
        abort();
    keep(survivor);
    // A block that moves a hundred times is one block.
    void *moved = NULL;
    for (int i = 1; i <= 100; i++) {
        free(malloc(40));
        moved = realloc(moved, 100 * i); // leak: 1 block, 10000 bytes by realloc in by_realloc
    }
    keep(moved);
}

FUNCTION void by_reallocarray(void) {
    void *array = reallocarray(NULL, 2, 11);
    array = reallocarray(array, 7, 11); // leak: 1 block, 77 bytes by reallocarray in by_reallocarray
    if (reallocarray(array, opaque(SIZE_MAX / 2), 4)) // overflows: the old block lives
        abort();
    keep(array);
}

FUNCTION void by_alignment(void) {
    void *block = NULL;
    if (posix_memalign(&block, 64, 130)) // leak: 1 block, 130 bytes by posix_memalign in by_alignment
        abort();
    keep(block);
    errno = 77;
    if (posix_memalign(&block, 3, 100) != EINVAL || errno != 77) // no block, errno as it was
        abort();
    keep(aligned_alloc(64, 192)); // leak: 1 block, 192 bytes by aligned_alloc in by_alignment
    keep(memalign(256, 300)); // leak: 1 block, 300 bytes by memalign in by_alignment
    keep(valloc(410)); // leak: 1 block, 410 bytes by valloc in by_alignment
    free(aligned_alloc(32, 64));
    free(memalign(4096, 64));
    free(valloc(10));
}

FUNCTION void by_pvalloc(void) {
    // Rounded up to pages by the C library; what was asked for counts.
    keep(pvalloc(510)); // leak: 1 block, 510 bytes by pvalloc in by_pvalloc
    free(pvalloc(1));
}

// C23's functions, of a libc that has them or of libleak.so. Without either, plain free.
FUNCTION void by_sized_frees(void) {
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    void (*old)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    void *first = malloc(90), *second = aligned_alloc(64, 128), *third = malloc(91);
    sized ? sized(first, 90) : free(first);
    aligned ? aligned(second, 64, 128) : free(second);
    old ? old(third) : free(third);
}

FUNCTION void by_usable_size(void) {
    void *block = malloc(21);
    printf("21 bytes: %zu usable; NULL: %zu\n", malloc_usable_size(block), malloc_usable_size(NULL));
    free(block);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    by_malloc();
    by_calloc();
    by_realloc();
    by_reallocarray();
    by_alignment();
    by_pvalloc();
    by_sized_frees();
    by_usable_size();
    return 0;
}
