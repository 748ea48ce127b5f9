// A stage for allocation patterns. A pattern is a function that is called once per tick and does what arrives in that tick; its name
// says what it is (leak_…, grow_…, clean_…). Many of them run at once on a few threads that sleep between ticks. All times
// are shares of the run, so that a run of seconds stands for one of hours. What a pattern does follows from the seed.
//
// usage: PROGRAM SECONDS SEED tuning|reporting; prints "NAME WARM-UP" for each pattern, and at the end to stderr by how many seconds a tick
// was late at most: where that is much, the machine has not run what the pattern did.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PATTERN static __attribute__((noinline)) void
#define HELPER static __attribute__((noinline)) __attribute__((unused))
#define INSIDE static inline __attribute__((always_inline)) __attribute__((unused))

struct due {
    double when;
    void (*release)(void *);
    void *block;
};

struct sim {
    double now;      // share of the run
    double tick;     // length of a tick
    double rate;     // operations in the whole run, without noise
    size_t size;     // bytes of a typical block
    double life;     // lifetime of a typical block that is freed
    double warm;     // when warm-up is over
    double noise;    // 0: even load; 1: it varies between nothing and twice as much
    double load;     // load of this stretch of time
    double next_load;
    uint64_t random;
    struct due *dues; // a heap by `when`
    size_t due_count;
    void *data;      // the pattern's own
    void *more;
    long count;
    pthread_mutex_t lock;
};

enum { DUES = 1 << 18 };

// Keeps the compiler from leaving an allocation out that nobody looks at.
INSIDE void *kept(void *block) {
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

// Programs write what they take. What is never written still holds what was there before, the allocator's own pointers too, and a leak
// check that does not see stores takes them for pointers.
INSIDE void *written(size_t size) {
    void *block = malloc(size);
    if (block) memset(block, 1, size);
    return kept(block);
}
#define malloc written

INSIDE double uniform(struct sim *s) {
    // splitmix64 (Steele, Lea, Flood 2014)
    uint64_t z = (s->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

INSIDE double between(struct sim *s, double low, double high) { return low + (high - low) * uniform(s); }
INSIDE double log_between(struct sim *s, double low, double high) { return low * pow(high / low, uniform(s)); }
INSIDE int chance(struct sim *s, double p) { return uniform(s) < p; }
INSIDE double exponential(struct sim *s, double mean) { return -mean * log(1.0 - uniform(s)); }
INSIDE double pareto(struct sim *s, double least, double exponent) {
    return least / pow(1.0 - uniform(s), 1.0 / exponent);
}

// Operations that arrive in this tick when `rate` arrive in the whole run.
INSIDE long arrivals_of(struct sim *s, double rate) {
    if (s->now >= s->next_load) {
        s->load = between(s, 1 - s->noise, 1 + s->noise);
        s->next_load = s->now + between(s, 0.005, 0.03);
    }
    double expected = rate * s->tick * s->load;
    long whole = (long)expected;
    return whole + chance(s, expected - (double)whole);
}
INSIDE long arrivals(struct sim *s) { return arrivals_of(s, s->rate); }

// A size near the typical one.
INSIDE size_t some_size(struct sim *s) { return (size_t)(between(s, 0.5, 1.5) * (double)s->size) + 1; }

// Calls `release` on the block after this share of the run.
HELPER void later_by(struct sim *s, void *block, double share, void (*release)(void *)) {
    if (s->due_count == DUES) abort();
    size_t place = s->due_count++;
    double when = s->now + share;
    for (; place > 0 && s->dues[(place - 1) / 2].when > when; place = (place - 1) / 2)
        s->dues[place] = s->dues[(place - 1) / 2];
    s->dues[place].when = when;
    s->dues[place].release = release;
    s->dues[place].block = block;
}
HELPER void later(struct sim *s, void *block, double share) { later_by(s, block, share, free); }

HELPER void release_due(struct sim *s) {
    while (s->due_count > 0 && s->dues[0].when <= s->now) {
        struct due due = s->dues[0], last = s->dues[--s->due_count];
        size_t place = 0;
        for (;;) {
            size_t child = 2 * place + 1;
            if (child >= s->due_count) break;
            if (child + 1 < s->due_count && s->dues[child + 1].when < s->dues[child].when) child++;
            if (s->dues[child].when >= last.when) break;
            s->dues[place] = s->dues[child];
            place = child;
        }
        s->dues[place] = last;
        due.release(due.block);
    }
}

struct named {
    const char *name;
    void (*run)(struct sim *);
};
extern struct named patterns[];
extern int pattern_count;
#define P(name) { #name, name }

static struct sim *sims;
static double run_seconds;
static int thread_count = 3;
static long ticks_in_all;
static struct timespec begun;
static double lateness[8];
enum { TICK_US = 4000 };

static void *stage(void *argument) {
    long self = (long)argument;
    for (long tick = 0; tick < ticks_in_all; tick++) {
        for (int index = 0; index < pattern_count; index++) {
            // Every other pattern moves from thread to thread.
            long owner = index % 2 ? index + tick / 25 : index;
            if (owner % thread_count != self) continue;
            struct sim *s = &sims[index];
            pthread_mutex_lock(&s->lock);
            s->now = (double)tick / (double)ticks_in_all;
            release_due(s);
            patterns[index].run(s);
            pthread_mutex_unlock(&s->lock);
        }
        struct timespec next = begun;
        int64_t ns = next.tv_nsec + (tick + 1) * (int64_t)TICK_US * 1000;
        next.tv_sec += ns / 1000000000;
        next.tv_nsec = ns % 1000000000;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        double late = (double)(now.tv_sec - next.tv_sec) + (double)(now.tv_nsec - next.tv_nsec) / 1e9;
        if (late > lateness[self]) lateness[self] = late;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    run_seconds = atof(argv[1]);
    uint64_t seed = strtoull(argv[2], NULL, 10);
    int tuning = strcmp(argv[3], "tuning") == 0;
    ticks_in_all = (long)(run_seconds * 1e6 / TICK_US);
    size_t dues = sizeof(struct due) * DUES;
    // Not malloc: the stage is no pattern.
    char *memory = (char *)mmap(NULL, (size_t)pattern_count * (dues + sizeof(struct sim)), PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == (char *)MAP_FAILED) return 1;
    sims = (struct sim *)(memory + (size_t)pattern_count * dues);
    for (int index = 0; index < pattern_count; index++) {
        struct sim *s = &sims[index];
        s->random = seed * 1000003 + (uint64_t)index * 7919 + (tuning ? 0 : 0x5eed);
        for (int i = 0; i < 4; i++) uniform(s);
        s->dues = (struct due *)(memory + (size_t)index * dues);
        s->tick = 1.0 / (double)ticks_in_all;
        pthread_mutex_init(&s->lock, NULL);
        s->rate = tuning ? log_between(s, 400, 8000) : log_between(s, 250, 20000);
        s->size = (size_t)(tuning ? log_between(s, 16, 2000) : log_between(s, 24, 4000));
        s->life = tuning ? log_between(s, 0.002, 0.08) : log_between(s, 0.001, 0.12);
        s->warm = tuning ? between(s, 0.03, 0.35) : between(s, 0.02, 0.45);
        s->noise = tuning ? between(s, 0, 0.5) : between(s, 0, 0.8);
        s->load = 1;
        printf("%s %.4f\n", patterns[index].name, s->warm);
    }
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    pthread_t threads[8];
    for (long i = 0; i < thread_count; i++) pthread_create(&threads[i], NULL, stage, (void *)i);
    for (long i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
    double late = 0;
    for (int i = 0; i < thread_count; i++) late = fmax(late, lateness[i]);
    fprintf(stderr, "%.3f\n", late);
    // What is outstanding stays so, as in a server that is stopped.
    _exit(0);
}
