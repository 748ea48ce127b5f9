// Keeps 7 blocks of 31 bytes, frees 5 others, then ends in the way its argument names.
#define _GNU_SOURCE
#include "keep.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void at_the_end(void) { keep(malloc(5)); }

FUNCTION void work(void) {
    for (int i = 0; i < 7; i++)
        keep(malloc(31));
    for (int i = 0; i < 5; i++)
        free(malloc(99));
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "return";
    const struct rlimit no_core = {0, 0};
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
    if (!strcmp(way, "exec"))
        execl("/proc/self/exe", "endings", "_exit", (char *)NULL);
    if (!strcmp(way, "failed exec"))
        execl("/no/such/program", "program", (char *)NULL);
    return 2;
}
