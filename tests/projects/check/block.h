// Takes blocks in a way that no compiler leaves out.
#include <stdlib.h>

static void *volatile taken;

__attribute__((noinline, unused)) static void take_and_lose(size_t size) {
    taken = malloc(size);
    taken = NULL;
}

__attribute__((noinline, unused)) static void take_and_give_back(size_t size) {
    taken = malloc(size);
    free(taken);
    taken = NULL;
}
