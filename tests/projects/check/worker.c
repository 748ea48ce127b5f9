// Not a test: what the test `parent` starts.
#include "block.h"

int main(void) {
    take_and_lose(64);
    return 0;
}
