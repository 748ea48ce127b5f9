// A program linked with another allocator: 10 blocks of 72 bytes, 1 of 300 aligned to 64, 1 grown to 5000 are live at the end.
#include "keep.h"
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

FUNCTION void small(void) {
    for (int i = 0; i < 10; i++)
        keep(malloc(72)); // leak: 10 blocks, 720 bytes by malloc in small
    for (int i = 0; i < 10000; i++)
        free(malloc(opaque(i)));
}

FUNCTION void aligned(void) {
    void *block = NULL;
    if (posix_memalign(&block, 64, 300) || (uintptr_t)block % 64) // leak: 1 block, 300 bytes by posix_memalign in aligned
        abort();
    keep(block);
}

FUNCTION void grown(void) {
    void *block = calloc(10, 10);
    block = realloc(block, 5000); // leak: 1 block, 5000 bytes by realloc in grown
    if (malloc_usable_size(block) < 5000)
        abort();
    keep(block);
}

static void *in_a_thread(void *argument) {
    free(argument);
    keep(calloc(3, 30)); // leak: 1 block, 90 bytes by calloc in in_a_thread
    return NULL;
}

int main(void) {
    small();
    aligned();
    grown();
    pthread_t thread;
    if (pthread_create(&thread, NULL, in_a_thread, malloc(123)))
        abort();
    pthread_join(thread, NULL);
    return 0;
}
