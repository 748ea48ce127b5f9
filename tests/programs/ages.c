// Two blocks of different ages: nearly half a second lies between them.
#include "block.h"
#include <unistd.h>

BLOCK(early, 1001)
BLOCK(late, 1002)

static void *volatile blocks[2];

int main(void) {
    blocks[0] = early();
    usleep(400000);
    blocks[1] = late();
    return 0;
}
