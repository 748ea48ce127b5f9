// Allocates and frees at a given stack depth in a given number of threads: `churn PAIRS DEPTH THREADS`. Every thread makes
// PAIRS blocks, keeps the newest 1000 and frees the older ones. Live at the end: 1000 blocks of 64 bytes per thread
// (PAIRS must not be below 1000).
#include "keep.h"
#include <pthread.h>
#include <stdlib.h>

enum { WINDOW = 1000, SIZE = 64, MOST_THREADS = 64 };

struct work {
    long pairs;
    int depth;
};

FUNCTION void allocate(const struct work *work) {
    void *window[WINDOW] = {0};
    for (long i = 0; i < work->pairs; i++) {
        void **slot = &window[i % WINDOW];
        free(*slot);
        *slot = malloc(SIZE);
    }
    keep(window);
}

FUNCTION void descend(const struct work *work, int depth) {
    if (depth <= 1)
        allocate(work);
    else
        descend(work, depth - 1);
    keep(&depth);
}

static void *body(void *argument) {
    const struct work *work = argument;
    descend(work, work->depth);
    return NULL;
}

int main(int count, char **args) {
    struct work work = {count > 1 ? atol(args[1]) : 1000, count > 2 ? atoi(args[2]) : 16};
    int threads = count > 3 ? atoi(args[3]) : 1;
    pthread_t handles[MOST_THREADS];
    if (threads > MOST_THREADS)
        return 2;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&handles[i], NULL, body, &work))
            return 1;
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    return 0;
}
