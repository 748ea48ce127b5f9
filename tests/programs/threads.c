// Three threads, one named at a time; each keeps one block of a size of its own, and the first one's second block is freed
// by the main thread.
#define _GNU_SOURCE
#include "keep.h"
#include <pthread.h>
#include <stdlib.h>

static void *handed_over;

static void *first(void *argument) {
    pthread_setname_np(pthread_self(), "reader");
    keep(malloc(111)); // leak: 1 block, 111 bytes by malloc in first
    handed_over = malloc(999);
    return argument;
}

static void *second(void *argument) {
    pthread_setname_np(pthread_self(), "writer");
    keep(malloc(222)); // leak: 1 block, 222 bytes by malloc in second
    return argument;
}

static void *third(void *argument) {
    keep(malloc(333)); // leak: 1 block, 333 bytes by malloc in third
    return argument;
}

int main(void) {
    void *(*const bodies[])(void *) = {first, second, third};
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, bodies[i], NULL))
            abort();
        pthread_join(thread, NULL);
    }
    free(handed_over);
    return 0;
}
