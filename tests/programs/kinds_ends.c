// A block that only a variable of main holds, and a way to end: main's variables are in use until it returns.
#define _GNU_SOURCE
#include "asleep.h"
#include "keep.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

FUNCTION void *of_main(void) {
    void *block = calloc(1, 77);
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

FUNCTION void definite_alone(void) {
    void *block = calloc(1, 78);
    __asm__ volatile("" : "+r"(block) : : "memory");
}

FUNCTION void *definite_of_a_deep_frame(void) {
    void *block = calloc(1, 79);
    __asm__ volatile("# deep" : "+r"(block) : : "memory");
    return block;
}

// Deeper than anything that comes after it.
FUNCTION void deep(void) {
    void *volatile frame[4096];
    frame[0] = definite_of_a_deep_frame();
    for (int i = 1; i < 4096; i++)
        frame[i] = frame[0];
}

static void *exits(void *argument) {
    until_asleep(getpid());
    exit(5);
    return argument;
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "return";
    puts("working");
    definite_alone();
    deep();
    void *block = of_main();
    // In a register that calls keep, and on the stack.
    void *volatile held = block;
    if (!strcmp(way, "exit"))
        exit(3);
    if (!strcmp(way, "_exit"))
        fflush(stdout), _exit(4);
    if (!strcmp(way, "_Exit"))
        fflush(stdout), _Exit(4);
    if (!strcmp(way, "quick_exit"))
        fflush(stdout), quick_exit(6);
    if (!strcmp(way, "signal"))
        fflush(stdout), kill(getpid(), count > 2 ? atoi(args[2]) : SIGTERM);
    if (!strcmp(way, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, exits, NULL);
        pthread_join(thread, NULL);
    }
    if (!strcmp(way, "alone")) {
        // A user who may have no process more.
        const struct rlimit none = {0, 0};
        if ((geteuid() == 0 && setresuid(65534, 65534, 65534)) || setrlimit(RLIMIT_NPROC, &none))
            return 9;
    }
    __asm__ volatile("" : : "r"(block), "r"(held));
    return 2;
}
