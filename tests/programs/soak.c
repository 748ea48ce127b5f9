// Runs for as many seconds as its first argument says: 16 threads that allocate, reallocate and free at 55,556 events a second in all
// (100 million in half an hour), children that do the same and end, and two plugins (second and third argument) that take turns at
// being loaded. Says on stdout what it knows at the end: blocks and bytes that the threads hold, their events, and how many children
// there were.
//
// Until the end what is held stays below a fixed number of blocks, so whatever grows meanwhile is not the program's.
#define _GNU_SOURCE
#include "keep.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 16, BLOCKS = 512, RATE = 55556, TURNS = 10 };

struct worker {
    pthread_t thread;
    uint64_t random;
    void *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    long events;
};

static struct worker workers[THREADS];
static atomic_int over;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void rest(long ns) { nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL); }

// Three functions for three sites, each the same from wherever it is called.
FUNCTION void *take(size_t size) { return malloc(size); }
FUNCTION void *take_zeroed(size_t size) { return calloc(1, size); }
FUNCTION void *resize(void *block, size_t size) { return realloc(block, size); }

static void step(struct worker *worker) {
    uint64_t random = worker->random;
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    worker->random = random;
    int slot = random % BLOCKS;
    size_t size = 16 + random / BLOCKS % 1000;
    void **block = &worker->blocks[slot];
    worker->sizes[slot] = 0;
    if (!*block) {
        *block = random >> 63 ? take(size) : take_zeroed(size);
        worker->sizes[slot] = size;
    } else if (random >> 60 == 0) {
        *block = resize(*block, size);
        worker->sizes[slot] = size;
        worker->events++; // An allocation and a free.
    } else {
        free(*block);
        *block = NULL;
    }
    worker->events++;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    // In bursts, as many a second as the rate has.
    for (double begin = now(), turn = 1; !over; turn++) {
        for (int i = 0; i < RATE / THREADS / TURNS; i++)
            step(worker);
        double early = begin + turn / TURNS - now();
        if (early > 0)
            rest((long)(early * 1e9));
    }
    return NULL;
}

static void *come_and_go(void *argument) {
    free(take(24));
    return argument;
}

FUNCTION void in_the_child(void) {
    for (int i = 0; i < 3; i++)
        keep(malloc(24));
}

static void child(void) {
    int status = 0;
    pid_t pid = fork();
    if (!pid) {
        in_the_child();
        for (int i = 0; i < 100; i++)
            free(take(32));
        _exit(9);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 9)
        abort();
}

static void plug(const char *path) {
    void *plugin = dlopen(path, RTLD_NOW);
    void *(*make)(void) = plugin ? (void *(*)(void))dlsym(plugin, "plugin_makes") : NULL;
    if (!make)
        abort();
    free(make());
    dlclose(plugin);
}

int main(int count, char **args) {
    if (count < 4)
        return 1;
    long children = 0;
    double end = now() + atof(args[1]);
    for (int i = 0; i < THREADS; i++) {
        workers[i].random = 88172645463325252ull + (uint64_t)i;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (long turn = 0; now() < end; turn++) {
        rest(100000000);
        plug(args[2 + turn % 2]);
        pthread_t thread;
        if (turn % 5 == 0 && !pthread_create(&thread, NULL, come_and_go, NULL))
            pthread_join(thread, NULL);
        if (turn % 10 == 0) {
            child();
            children++;
        }
    }
    over = 1;
    long events = 0, blocks = 0, bytes = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        events += workers[i].events;
        for (int slot = 0; slot < BLOCKS; slot++) {
            blocks += workers[i].blocks[slot] != NULL;
            bytes += workers[i].blocks[slot] ? (long)workers[i].sizes[slot] : 0;
        }
    }
    printf("%ld %ld %ld %ld\n", blocks, bytes, events, children);
    return 0;
}
