// A test that passes and loses two blocks.
#include "block.h"

int main(void) {
    take_and_lose(24);
    take_and_lose(48);
    take_and_give_back(100);
    return 0;
}
