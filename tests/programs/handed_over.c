// A library whose calls of malloc and free go past libleak, and a program that frees what it hands over.
//     handed_over LIBRARY deepbind|namespace|plain
#define _GNU_SOURCE
#include "keep.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#ifdef LIBRARY
void *make(unsigned long size);
void *make(unsigned long size) {
    return malloc(size);
}
#else
int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    void *library = strcmp(argv[2], "namespace") == 0 ? dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW)
                    : strcmp(argv[2], "deepbind") == 0 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND)
                                                       : dlopen(argv[1], RTLD_NOW);
    if (library == NULL)
        return 3;
    void *(*make)(unsigned long) = (void *(*)(unsigned long))dlsym(library, "make");
    // Known to libleak and freed: the library is given the same addresses.
    for (int round = 0; round < 10; round++)
        free((void *)opaque((unsigned long)malloc(40)));
    for (int round = 0; round < 10; round++) {
        void *block = make(40);
        keep(block);
        // A block of another namespace's libc belongs to that.
        if (strcmp(argv[2], "namespace") != 0)
            free(block);
    }
    // An error that can only be told from the above if nothing goes past libleak.
    void *block = malloc(40);
    void *other = malloc(40);
    free(block);
    free(other);
    free((void *)opaque((unsigned long)block + opaque(0)));
    return 0;
}
#endif
