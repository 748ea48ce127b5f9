// Threads that start together and are timed from within, so that neither their start nor the program's counts: what the
// programs of scripts/bench share.
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_THREADS = 64 };

// What each thread does: `argument` is the same for all, `thread` counts from 0.
typedef void (*timed_body)(void *argument, int thread);

struct timed_thread {
    timed_body body;
    void *argument;
    int number;
    pthread_t handle;
    uint64_t started, ended, processor;
};

// Nanoseconds.
struct timed {
    uint64_t wall;      // from when the first thread began until the last one was done
    uint64_t processor; // what all of them used of the processors
};

static pthread_barrier_t timed_start;

static inline uint64_t timed_now(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void *timed_main(void *argument) {
    struct timed_thread *self = (struct timed_thread *)argument;
    pthread_barrier_wait(&timed_start);
    self->started = timed_now(CLOCK_MONOTONIC);
    self->processor = timed_now(CLOCK_THREAD_CPUTIME_ID);
    self->body(self->argument, self->number);
    self->processor = timed_now(CLOCK_THREAD_CPUTIME_ID) - self->processor;
    self->ended = timed_now(CLOCK_MONOTONIC);
    return NULL;
}

// Runs `body` in `count` threads.
static inline struct timed timed_run(int count, timed_body body, void *argument) {
    struct timed_thread threads[MOST_THREADS];
    if (count < 1 || count > MOST_THREADS)
        exit(2);
    pthread_barrier_init(&timed_start, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        threads[i].body = body;
        threads[i].argument = argument;
        threads[i].number = i;
        if (pthread_create(&threads[i].handle, NULL, timed_main, &threads[i]))
            exit(1);
    }
    uint64_t first = UINT64_MAX, last = 0, processor = 0;
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i].handle, NULL);
        first = threads[i].started < first ? threads[i].started : first;
        last = threads[i].ended > last ? threads[i].ended : last;
        processor += threads[i].processor;
    }
    pthread_barrier_destroy(&timed_start);
    struct timed timed = {last - first, processor};
    return timed;
}

// The only line on stdout: what was done in all, and how long it took.
static inline void timed_print(long operations, struct timed timed) {
    printf("%ld operations in %llu ns, %llu ns of processor time\n", operations, (unsigned long long)timed.wall,
           (unsigned long long)timed.processor);
}

// A number of a linear congruential generator: the same ones in every run.
static inline uint32_t timed_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
