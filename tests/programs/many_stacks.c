// Keeps one block of 16 bytes from each of 2^LEVELS stacks: `many_stacks LEVELS`. At every level one of two functions calls on.
#include "keep.h"
#include <stdlib.h>

FUNCTION void left(long way, int level);
FUNCTION void right(long way, int level);

FUNCTION void next(long way, int level) {
    if (level == 0)
        keep(malloc(16));
    else if (way & 1)
        left(way >> 1, level - 1);
    else
        right(way >> 1, level - 1);
    keep(&level);
}

FUNCTION void left(long way, int level) {
    next(way, level);
    keep(&level);
}

FUNCTION void right(long way, int level) {
    next(way, level);
    keep(&way);
}

int main(int count, char **args) {
    int levels = count > 1 ? atoi(args[1]) : 10;
    for (long way = 0; way < 1L << levels; way++)
        next(way, levels);
    return 0;
}
