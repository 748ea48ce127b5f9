// Libraries that do not see the program's malloc: in a namespace of their own, or bound to their own libraries first.
#define _GNU_SOURCE
#include "keep.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LIBRARY
void *take(void) { return malloc(300); }
void give(void *block) { free(block); }
#else
FUNCTION void own(void) {
    for (int i = 0; i < 2; i++)
        keep(malloc(64));
}

int main(int count, char **args) {
    if (count != 3)
        return 2;
    int deep = !strcmp(args[1], "deepbind");
    for (int i = 0; i < 10; i++) {
        void *library = deep ? dlopen(args[2], RTLD_NOW | RTLD_DEEPBIND) : dlmopen(LM_ID_NEWLM, args[2], RTLD_NOW);
        if (!library) {
            puts(dlerror());
            return 1;
        }
        void *(*take)(void) = (void *(*)(void))dlsym(library, "take");
        void (*give)(void *) = (void (*)(void *))dlsym(library, "give");
        give(take());
        if (deep) {
            free(take());
            give(malloc(400));
        }
        if (dlclose(library))
            return 3;
    }
    own();
    puts("done");
    return 0;
}
#endif
