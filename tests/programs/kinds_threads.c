// What threads hold. The name of the function that allocates a block begins with its kind at the end of the program.
#define _GNU_SOURCE
#include "asleep.h"
#include "block.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

BLOCK(reachable_by_a_stack, 101)
BLOCK(reachable_by_storage_of_a_live_thread, 102)
BLOCK(reachable_by_a_key, 103)
BLOCK(reachable_by_a_late_key, 104)
BLOCK(reachable_by_a_key_of_main, 105)
BLOCK(reachable_by_a_late_key_of_main, 106)
BLOCK(reachable_by_a_running_stack, 107)
BLOCK(reachable_through_an_argument, 108)
BLOCK(definite_of_a_thread_that_ended, 111)
BLOCK(definite_of_a_joined_thread, 112)
BLOCK(definite_of_a_frame_that_returned, 113)
BLOCK(definite_of_the_last_thread_that_ended, 114)

static _Thread_local void *volatile storage;
static pthread_key_t keys[60];
static pthread_barrier_t ready;
static volatile int stop;
static volatile int waiting[2];

FUNCTION void returned(void) {
    void *volatile frame[64];
    for (int i = 0; i < 64; i++)
        frame[i] = definite_of_a_frame_that_returned();
    frame[0] = frame[1];
}

static void *waits(void *argument) {
    waiting[0] = gettid();
    returned();
    void *volatile local = reachable_by_a_stack();
    storage = reachable_by_storage_of_a_live_thread();
    pthread_setspecific(keys[3], reachable_by_a_key());
    pthread_setspecific(keys[50], reachable_by_a_late_key());
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    local = argument;
    return local;
}

// Of a thread that runs the whole stack counts, and this one's was others' before.
FUNCTION void overwrite(void) {
    char frame[64 * 1024];
    memset(frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void *runs(void *argument) {
    overwrite();
    void *volatile local = reachable_by_a_running_stack();
    pthread_barrier_wait(&ready);
    while (!stop)
        ;
    local = argument;
    return local;
}

static void *ends(void *argument) {
    storage = definite_of_a_thread_that_ended();
    return argument;
}

static void *ends_last(void *argument) {
    storage = definite_of_the_last_thread_that_ended();
    return argument;
}

static void *is_joined(void *argument) {
    void *volatile local = definite_of_a_joined_thread();
    (void)local;
    return argument;
}

static void *reads(void *argument) {
    waiting[1] = gettid();
    pthread_barrier_wait(&ready);
    // The kernel has the pointer; libc's stack frame need not.
    (void)!read(*(int *)argument, (void *)reachable_through_an_argument(), 8);
    return NULL;
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "waits";
    for (int i = 0; i < 60; i++)
        pthread_key_create(&keys[i], NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, ends, NULL);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, is_joined, NULL);
    pthread_join(thread, NULL);
    pthread_setspecific(keys[4], reachable_by_a_key_of_main());
    pthread_setspecific(keys[51], reachable_by_a_late_key_of_main());
    pthread_barrier_init(&ready, NULL, !strcmp(way, "waits") ? 3 : 2);
    int ends_of_pipe[2];
    if (!strcmp(way, "waits")) {
        pthread_create(&thread, NULL, waits, NULL);
        if (pipe(ends_of_pipe))
            abort();
        pthread_create(&thread, NULL, reads, ends_of_pipe);
    } else {
        pthread_create(&thread, NULL, runs, NULL);
    }
    pthread_barrier_wait(&ready);
    // No thread comes after it that would take its stack.
    pthread_create(&thread, NULL, ends_last, NULL);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        if (waiting[i])
            until_asleep(waiting[i]);
    }
    return 0;
}
