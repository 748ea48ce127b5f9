// A server's heap, after Larson and Krishnan's benchmark (ISMM 1998): `larson OPERATIONS THREADS`. Every thread replaces blocks of
// random sizes in random slots, OPERATIONS times in all; fifty times on the way it hands its slots on to its neighbour, so that
// blocks are freed by other threads too. Prints the replacements and the time they took.
#include "keep.h"
#include "timed.h"

enum { SLOTS = 1000, EPOCHS = 50, SMALLEST = 8, LARGEST = 1000 };

struct work {
    long operations;
    int threads;
    pthread_barrier_t epoch;
    void *slots[MOST_THREADS][SLOTS];
};

FUNCTION void *take(uint32_t number) {
    char *block = malloc(SMALLEST + number % (LARGEST - SMALLEST));
    *block = 1;
    return block;
}

FUNCTION void replace(void **slots, long count, uint64_t *state) {
    for (long i = 0; i < count; i++) {
        void **slot = &slots[timed_random(state) % SLOTS];
        free(*slot);
        *slot = take(timed_random(state));
    }
}

static void body(void *argument, int thread) {
    struct work *work = argument;
    uint64_t state = (uint64_t)thread + 1;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        replace(work->slots[(thread + epoch) % work->threads], work->operations / EPOCHS, &state);
        pthread_barrier_wait(&work->epoch);
    }
}

int main(int count, char **args) {
    static struct work work;
    work.operations = count > 1 ? atol(args[1]) : 10000;
    work.threads = count > 2 ? atoi(args[2]) : 2;
    pthread_barrier_init(&work.epoch, NULL, (unsigned)work.threads);
    struct timed timed = timed_run(work.threads, body, &work);
    timed_print(work.operations / EPOCHS * EPOCHS * work.threads, timed);
    return 0;
}
