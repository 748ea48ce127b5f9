// Keeps 7 blocks of 31 bytes, frees 5 others, then ends in the way its argument names. A second argument is the number of a signal,
// a third one asks for a core file.
#define _GNU_SOURCE
#include "keep.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void at_the_end(void) { keep(malloc(5)); }

static void leave(int number) {
    at_the_end();
    _exit(number);
}

static void do_nothing(int number) { (void)number; }

static void die(int number) {
    at_the_end();
    signal(number, SIG_DFL);
    raise(number);
}

static void *work_on(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, NULL);
    at_the_end();
    return NULL;
}

FUNCTION void work(void) {
    for (int i = 0; i < 7; i++)
        keep(malloc(31));
    for (int i = 0; i < 5; i++)
        free(malloc(99));
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "return";
    const struct rlimit no_core = {0, 0};
    if (count < 4)
        setrlimit(RLIMIT_CORE, &no_core);
    puts("working");
    fflush(stdout);
    work();
    if (!strcmp(way, "exit"))
        exit(3);
    if (!strcmp(way, "atexit")) {
        atexit(at_the_end);
        exit(8);
    }
    if (!strcmp(way, "_exit"))
        _exit(4);
    if (!strcmp(way, "_Exit"))
        _Exit(5);
    if (!strcmp(way, "quick_exit"))
        quick_exit(6);
    if (!strcmp(way, "abort"))
        abort();
    if (!strcmp(way, "segv"))
        *(volatile int *)opaque(0) = 1;
    if (!strcmp(way, "term"))
        raise(SIGTERM);
    if (!strcmp(way, "kill"))
        raise(SIGKILL);
    const int number = count > 2 ? atoi(args[2]) : 0;
    if (!strcmp(way, "signal"))
        raise(number);
    if (!strcmp(way, "left by a handler")) {
        signal(number, leave);
        raise(number);
    }
    if (!strcmp(way, "handled")) {
        signal(number, do_nothing);
        raise(number);
    }
    if (!strcmp(way, "handled and sent again")) {
        signal(number, die);
        raise(number);
    }
    if (!strcmp(way, "pthread_exit")) {
        static pthread_t main_thread;
        pthread_t thread;
        main_thread = pthread_self();
        pthread_create(&thread, NULL, work_on, &main_thread);
        pthread_exit(NULL);
    }
    if (!strcmp(way, "exec"))
        execl("/proc/self/exe", "endings", "_exit", (char *)NULL);
    if (!strcmp(way, "failed exec"))
        execl("/no/such/program", "program", (char *)NULL);
    return 2;
}
