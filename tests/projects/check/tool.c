// Not a test: what the test `script` starts.
#include "block.h"

int main(void) {
    take_and_lose(80);
    return 0;
}
