// Forks 300 times; after each fork the parent takes 500 blocks more and keeps them, so that its tables grow while the child
// begins its own trace. Every child allocates, frees, and ends with 0. Live at the end in the parent: 150,000 blocks of 24 bytes.
#include "keep.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 300, BLOCKS = 500 };

FUNCTION void grow(void) {
    for (int i = 0; i < BLOCKS; i++)
        keep(malloc(24));
}

int main(void) {
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < 10; j++)
                free(malloc(opaque(32)));
            _exit(0);
        }
        grow();
        int status = 1;
        if (waitpid(child, &status, 0) != child || status)
            return 1;
    }
    return 0;
}
