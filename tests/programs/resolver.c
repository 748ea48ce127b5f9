// A function that is chosen when the loader asks for it, by one that allocates. Also a plugin, with -DLIBRARY.
#include "keep.h"
#include <stdlib.h>

#ifndef SIZE
#define SIZE 78
#endif

#define JOIN(a, b) a##b
#define NAMED(size) JOIN(resolve_with_, size)
#define TEXT(name) #name
#define TEXT_OF(name) TEXT(name)

static void *seen;
static int chosen(void) { return 0; }

static int (*NAMED(SIZE)(void))(void) {
    free(malloc(33));
    seen = malloc(SIZE);
    return chosen;
}

static int choose(void) __attribute__((ifunc("resolve_with_" TEXT_OF(SIZE))));

int plugin_run(void) {
    keep(seen);
    return choose();
}

#ifndef LIBRARY
int main(void) { return plugin_run(); }
#endif
