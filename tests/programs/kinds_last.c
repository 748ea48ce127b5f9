// Blocks that glibc's own pointers lead into: it points to the free memory behind a block at the place where the block's last 8 bytes
// are, if it is so long that it needs them. Nothing may be given out after them, so this fixture prints nothing.
#include "block.h"
#include <string.h>

BLOCK(definite_before_a_bin, 1000)
BLOCK(definite_before_a_fast_bin, 24)
BLOCK(definite_of_no_more_than_its_chunk, 26)
BLOCK(definite_before_what_was_never_given_out, 72)

FUNCTION void work(void) {
    // The thread's own list takes seven of a size, the next one goes to a fast bin.
    void *volatile small[8];
    for (int i = 0; i < 7; i++) small[i] = malloc(24);
    definite_before_a_fast_bin();
    small[7] = malloc(24);
    for (int i = 0; i < 8; i++) free(small[i]);
    definite_of_no_more_than_its_chunk();
    definite_before_a_bin();
    small[0] = malloc(6000);
    definite_before_what_was_never_given_out();
    free(small[0]);
    memset((void *)small, 0, sizeof small);
}

int main(void) {
    work();
    return 0;
}
