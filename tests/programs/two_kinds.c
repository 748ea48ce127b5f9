// One line gives out blocks that are lost and one that is kept: as many as the first argument says (5). With a second one, another
// function loses a block.
#include "keep.h"
#include <stdlib.h>

static void *volatile last;

FUNCTION void another(void) { last = malloc(50); }

int main(int argc, char **argv) {
    if (argc > 2)
        another();
    int blocks = argc > 1 ? atoi(argv[1]) : 5;
    for (int i = 0; i < blocks; i++)
        last = malloc(40);
    return 0;
}
