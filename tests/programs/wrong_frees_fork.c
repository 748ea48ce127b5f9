// A parent that frees a block twice, and then a child that does so with one that it has from its parent.
#include "keep.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wuse-after-free"

enum { COUNT = 20 };

FUNCTION void *make(void) { return (void *)opaque((unsigned long)malloc(40)); }

// So many that glibc does not see that one comes again.
FUNCTION void free_all(void **blocks) {
    for (int index = 0; index < COUNT; index++)
        free(blocks[index]);
}

FUNCTION void wrong_in_parent(void *block) {
    free(block);
    keep(NULL);
}

FUNCTION void wrong_in_child(void *block) {
    free(block);
    keep(block);
}

int main(void) {
    void *blocks[2][COUNT];
    for (int index = 0; index < 2 * COUNT; index++)
        blocks[index / COUNT][index % COUNT] = make();
    free_all(blocks[0]);
    wrong_in_parent(blocks[0][12]);
    pid_t child = fork();
    if (child == 0) {
        free_all(blocks[1]);
        wrong_in_child(blocks[1][12]);
        _exit(0);
    }
    return waitpid(child, NULL, 0) == child ? 0 : 1;
}
