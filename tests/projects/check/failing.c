// A test that fails and loses nothing.
#include "block.h"

int main(void) {
    take_and_give_back(100);
    return 1;
}
