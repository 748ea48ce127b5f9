// Keeps one block of 1500 bytes: `store` and `pick` are inlined into `main`.
#include "keep.h"
#include <cstdlib>

__attribute__((always_inline)) static inline void store(unsigned long size) {
    keep(std::malloc(size)); // here: store
}

__attribute__((always_inline)) static inline void pick(unsigned long size) {
    store(opaque(size)); // here: pick
}

int main() {
    pick(1500); // here: main
    return 0;
}
