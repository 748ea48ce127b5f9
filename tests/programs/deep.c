// Keeps one block of 77 bytes at the bottom of 300 calls of `descend`.
#include "keep.h"
#include <stdlib.h>

FUNCTION void bottom(void) { keep(malloc(77)); }

FUNCTION void descend(int depth) {
    if (depth == 0)
        bottom();
    else
        descend(depth - 1);
    keep(&depth);
}

int main(void) {
    descend(299);
    return 0;
}
