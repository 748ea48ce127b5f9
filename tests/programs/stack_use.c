// Measures how much stack allocations take, in bytes from the caller's frame down to the deepest that changed. Prints:
//   warm N          malloc, calloc, realloc and free that were called from here before
//   first N         the first of a thread
//   first elsewhere N   the first of a new caller, through frames that were never walked
//   first of a child N  the first of a forked child, which begins a trace
// With an argument only forks on a thread with the smallest stack there may be, whose child then allocates, and executes a
// program with no environment.
#define _GNU_SOURCE
#include "keep.h"
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 512 * 1024, UNTOUCHED = 0xa5 };

static volatile unsigned char *bottom;

static void allocate(void) {
    void *block = malloc(opaque(100));
    block = realloc(block, opaque(3000));
    free(block);
    free(calloc(3, opaque(50)));
}

static void compare_by_allocating(void) {
    free(malloc(opaque(77)));
    free(realloc(malloc(opaque(78)), opaque(79)));
}

static int compare(const void *a, const void *b) {
    compare_by_allocating();
    return *(const char *)a - *(const char *)b;
}

static void allocate_elsewhere(void) {
    char letters[] = "stack";
    qsort(letters, 5, 1, compare);
}

__attribute__((always_inline)) static inline volatile unsigned char *stack_pointer(void) {
    volatile unsigned char *pointer;
#ifdef __x86_64__
    __asm__ volatile("mov %%rsp, %0" : "=r"(pointer));
#else
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
#endif
    return pointer;
}

FUNCTION size_t used(void (*body)(void)) {
    volatile unsigned char *here = stack_pointer();
    for (volatile unsigned char *byte = bottom; byte < here; byte++)
        *byte = UNTOUCHED;
    body();
    volatile unsigned char *byte = bottom;
    while (byte < here && *byte == UNTOUCHED)
        byte++;
    return (size_t)(here - byte);
}

static void await(pid_t child) {
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        abort();
}

static void *measure(void *unused) {
    size_t first = used(allocate);
    size_t elsewhere = used(allocate_elsewhere);
    size_t warm = 0;
    for (int i = 0; i < 100; i++)
        warm = used(allocate);
    int results[2];
    if (pipe(results))
        abort();
    pid_t child = fork();
    if (child == 0) {
        size_t begun = used(allocate);
        _exit(write(results[1], &begun, sizeof begun) != sizeof begun);
    }
    await(child);
    size_t begun = 0;
    if (read(results[0], &begun, sizeof begun) != sizeof begun)
        abort();
    printf("warm %zu\nfirst %zu\nfirst elsewhere %zu\nfirst of a child %zu\n", warm, first, elsewhere, begun);
    return unused;
}

static void *fork_here(void *unused) {
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {"stack_use", NULL}, *environment[] = {NULL};
        for (int i = 0; i < 3; i++)
            keep(malloc(48));
        execve("/bin/true", arguments, environment);
        _exit(1);
    }
    await(child);
    child = vfork();
    if (child == 0) {
        execle("/bin/true", "true", (char *)NULL, (char *[]){NULL});
        _exit(1);
    }
    await(child);
    return unused;
}

int main(int count, char **args) {
    (void)args;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (count > 1) {
        pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    } else {
        void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED)
            abort();
        pthread_attr_setstack(&attributes, stack, STACK);
        bottom = stack;
    }
    if (pthread_create(&thread, &attributes, count > 1 ? fork_here : measure, NULL))
        abort();
    pthread_join(thread, NULL);
    return 0;
}
