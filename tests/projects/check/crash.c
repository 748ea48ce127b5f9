// A test that crashes.
#include "block.h"

int main(void) {
    int *volatile nowhere = NULL;
    take_and_give_back(100);
    return *nowhere;
}
