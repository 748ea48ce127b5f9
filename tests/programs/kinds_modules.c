// Data of libraries that are opened, kept and closed again. As a library (-DPLUGIN) it holds a block in its data and one in its
// thread-local storage. (glibc keeps the storage of a closed library until the thread asks for that of another.)
#define _GNU_SOURCE
#include "block.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef PLUGIN
void *volatile data[3000];
static _Thread_local void *volatile storage;
void hold(void *block, void *other) {
    data[2500] = block;
    storage = other;
}
#else
BLOCK(reachable_by_data_of_a_library, 201)
BLOCK(reachable_by_storage_of_a_library, 202)
BLOCK(definite_by_data_of_a_closed_library, 203)

FUNCTION void *library(const char *path) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return handle;
}

FUNCTION void hold_in(void *handle, void *block, void *other) {
    ((void (*)(void *, void *))dlsym(handle, "hold"))(block, other);
}

int main(int count, char **args) {
    if (count != 3)
        return 2;
    void *kept_open = library(args[1]), *closed = library(args[2]);
    hold_in(kept_open, reachable_by_data_of_a_library(), reachable_by_storage_of_a_library());
    hold_in(closed, definite_by_data_of_a_closed_library(), NULL);
    dlclose(closed);
    return 0;
}
#endif
