// Allocates and frees at a given stack depth in a given number of threads: `churn PAIRS DEPTH THREADS [timed]`. Every thread
// makes PAIRS blocks, keeps the newest 1000 and frees the older ones. Live at the end: 1000 blocks of 64 bytes per thread
// (PAIRS must not be below 1000). With `timed` it prints how long all pairs took.
#include "keep.h"
#include "timed.h"

enum { WINDOW = 1000, SIZE = 64 };

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

static void body(void *argument, int thread) {
    const struct work *work = argument;
    descend(work, work->depth);
    (void)thread;
}

int main(int count, char **args) {
    struct work work = {count > 1 ? atol(args[1]) : 1000, count > 2 ? atoi(args[2]) : 16};
    int threads = count > 3 ? atoi(args[3]) : 1;
    struct timed timed = timed_run(threads, body, &work);
    if (count > 4)
        timed_print(work.pairs * threads, timed);
    return 0;
}
