// Holds and loses blocks, says "ready", and goes on as it is told until its stdin ends: `kinds_running
// idle|busy|threads|exec|fork|own-handler`: `exec` is busy until a line comes, then it executes itself, busy; `fork` has a child that is idle. The name of
// the function that allocates a block begins with its kind, also while the program runs. Says at its end what waits for
// children have seen, of which it has none.
#define _GNU_SOURCE
#include "keep.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK(name, size)                                                                                    \
    FUNCTION void *name(void) {                                                                              \
        void *block = calloc(1, size);                                                                       \
        __asm__ volatile("# " #name : "+r"(block) : : "memory");                                                   \
        return block;                                                                                        \
    }

struct node {
    struct node *child;
    long number;
};

BLOCK(reachable_by_a_global, 101)
BLOCK(reachable_by_a_frame_of_main, 102)
BLOCK(possible_by_its_inside, 103)
BLOCK(definite_alone, 104)
BLOCK(definite_head, 105)
BLOCK(indirect_next, 106)
BLOCK(definite_after_a_line, 107)
BLOCK(reachable_in_turn, sizeof(struct node))
BLOCK(reachable_through_one_in_turn, sizeof(struct node))

enum { THREADS = 4, NODES = 500 };

static void *volatile global;
static void *volatile inside;
static struct node *volatile nodes[THREADS][NODES];
static volatile int stop;
// What nobody should see: children, signals, another action than the default.
static volatile long children;

static void child_has_ended(int signal) {
    (void)signal;
    children++;
}

FUNCTION void lose(void) {
    void *volatile block = definite_alone();
    void **head = definite_head();
    *head = indirect_next();
    head = NULL;
    block = NULL;
    (void)block;
}

// What the frames of `lose` have left.
FUNCTION void overwrite(void) {
    char frame[4096];
    memset(frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

FUNCTION void fill(int thread) {
    for (int i = 0; i < NODES; i++) {
        struct node *node = reachable_in_turn();
        node->child = reachable_through_one_in_turn();
        nodes[thread][i] = node;
    }
}

// One node goes, and what it held is held by another one.
FUNCTION void renew(int thread, unsigned *seed) {
    *seed = *seed * 1103515245 + 12345;
    int i = (*seed >> 8) % NODES;
    struct node *old = nodes[thread][i];
    struct node *child = old->child;
    free(old);
    struct node *node = reachable_in_turn();
    node->child = child;
    nodes[thread][i] = node;
}

static void *works(void *argument) {
    int thread = (int)(long)argument;
    unsigned seed = thread;
    while (!stop)
        renew(thread, &seed);
    return NULL;
}

FUNCTION int stdin_is_quiet(void) {
    struct pollfd poll_for = {.fd = 0, .events = POLLIN};
    return poll(&poll_for, 1, 0) == 0;
}

// Waits for lines; each loses a block.
FUNCTION void wait_for_the_end(void) {
    for (;;) {
        char byte;
        ssize_t length = read(0, &byte, 1);
        if (length == 0 || (length < 0 && errno != EINTR))
            return;
        if (length > 0) {
            definite_after_a_line();
            overwrite();
            (void)!write(1, "lost\n", 5);
        }
    }
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "idle";
    signal(SIGCHLD, child_has_ended);
    struct sigaction action;
    memset(&action, 1, sizeof action);
    sigaction(SIGUSR2, NULL, &action);
    if (action.sa_handler != SIG_DFL || action.sa_flags != 0)
        children++;
    if (!strcmp(way, "own-handler"))
        signal(SIGUSR2, child_has_ended);
    global = reachable_by_a_global();
    void *volatile local = reachable_by_a_frame_of_main();
    inside = (char *)possible_by_its_inside() + 16;
    lose();
    overwrite();
    for (int thread = 0; thread < THREADS; thread++)
        fill(thread);
    pthread_t threads[THREADS];
    if (!strcmp(way, "threads")) {
        for (long thread = 0; thread < THREADS; thread++)
            pthread_create(&threads[thread], NULL, works, (void *)thread);
    }
    if (!strcmp(way, "fork") && fork() != 0)
        pause();
    (void)!write(1, "ready\n", 6);
    if (!strcmp(way, "busy") || !strcmp(way, "exec")) {
        unsigned seed = 1;
        do {
            for (int i = 0; i < 100; i++)
                renew(0, &seed);
            if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
                children++;
        } while (stdin_is_quiet());
    }
    if (!strcmp(way, "exec")) {
        char byte;
        (void)!read(0, &byte, 1);
        if (children == 0)
            execl(args[0], args[0], "busy", (char *)NULL);
    }
    wait_for_the_end();
    stop = 1;
    if (!strcmp(way, "threads")) {
        for (int thread = 0; thread < THREADS; thread++)
            pthread_join(threads[thread], NULL);
    }
    printf("%ld children seen\n", children);
    fflush(stdout);
    int result = local == NULL;
    exit(result);
}
