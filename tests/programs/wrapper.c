// A library to preload that counts calls of malloc and free and passes them on, found by dlsym at the first one, and says
// at the end how many there were.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long mallocs, frees;

void *malloc(size_t size) {
    static void *(*next)(size_t);
    if (!next)
        next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    mallocs++;
    return next(size);
}

void free(void *block) {
    static void (*next)(void *);
    if (!next)
        next = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    frees += block != NULL;
    next(block);
}

__attribute__((destructor)) static void say(void) { fprintf(stderr, "%lu mallocs, %lu frees\n", mallocs, frees); }
