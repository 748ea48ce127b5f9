// Takes memory, 64 KiB at a time, and uses it, until it is killed. The first argument is a file in which it counts the blocks.
#include "keep.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024 };

static volatile uint64_t *blocks;

FUNCTION void fill(void) {
    for (;;) {
        char *block = malloc(BLOCK);
        if (!block)
            _exit(1);
        *blocks += 1;
        memset(block, 1, BLOCK);
        keep(block);
    }
}

int main(int count, char **args) {
    int file = count > 1 ? open(args[1], O_RDWR | O_CREAT, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof *blocks))
        return 1;
    blocks = mmap(NULL, sizeof *blocks, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (blocks == MAP_FAILED)
        return 1;
    fill();
    return 0;
}
