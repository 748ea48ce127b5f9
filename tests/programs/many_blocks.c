// Takes COUNT blocks of 24 bytes and keeps them: `many_blocks COUNT`.
#include "keep.h"
#include <stdlib.h>

int main(int count, char **args) {
    long blocks = count > 1 ? atol(args[1]) : 1000;
    for (long i = 0; i < blocks; i++)
        keep(malloc(24));
    return 0;
}
