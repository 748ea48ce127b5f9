// One line gives out blocks that are lost and one that is kept.
#include "block.h"
#include <stdlib.h>

static void *volatile last;

int main(void) {
    for (int i = 0; i < 5; i++)
        last = malloc(40);
    return 0;
}
