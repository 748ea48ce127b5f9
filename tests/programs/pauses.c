// Holds a heap of MEBIBYTES in blocks of SIZE bytes, every page of it touched, every block pointing at one before, and has a thread
// that allocates and frees all the time. For each line on stdin it says by how many microseconds an allocation and a free came later
// than they should have at most since the line before, and how many there were. At the end of stdin it ends: `pauses MEBIBYTES SIZE`.
#define _GNU_SOURCE
#include "keep.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void **volatile newest;
static _Atomic int64_t longest, pairs;
static _Atomic int begin_anew;

static uint64_t state = 88172645463325252ull;

static uint64_t random_number(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

FUNCTION void fill(long count, size_t size) {
    // Where pointers to random blocks go; the blocks hold them, and nothing else does in the end.
    enum { SOME = 4096 };
    static void **some[SOME];
    for (long i = 0; i < count; i++) {
        void **block = malloc(size);
        if (!block) abort();
        for (size_t at = PAGE; at < size; at += PAGE) ((char *)block)[at] = 1;
        block[0] = newest;
        block[1] = some[random_number() % SOME];
        some[random_number() % SOME] = block;
        newest = block;
    }
}

static void *work(void *unused) {
    int64_t last = now(), worst = 0, done = 0;
    for (;;) {
        if (atomic_load_explicit(&begin_anew, memory_order_acquire)) {
            worst = done = 0;
            last = now();
            atomic_store(&begin_anew, 0);
        }
        void *block = malloc(opaque(64));
        keep(block);
        free(block);
        int64_t time = now();
        if (time - last > worst) worst = time - last;
        last = time;
        done++;
        atomic_store_explicit(&longest, worst, memory_order_relaxed);
        atomic_store_explicit(&pairs, done, memory_order_relaxed);
    }
    return unused;
}

int main(int count, char **args) {
    if (count != 3) return 2;
    // Pages of 4 KiB: what it takes to copy a process depends on their number.
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    size_t size = strtoul(args[2], NULL, 10);
    fill((long)((strtoul(args[1], NULL, 10) << 20) / size), size);
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    dprintf(1, "ready\n");
    char byte;
    while (read(0, &byte, 1) == 1) {
        dprintf(1, "%lld %lld\n", (long long)(longest / 1000), (long long)pairs);
        begin_anew = 1;
        while (begin_anew) usleep(100);
    }
    return 0;
}
