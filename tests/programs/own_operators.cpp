// A program that brings some of the operators itself: OWN_NEW, OWN_DELETE, OWN_NEW_ARRAY, OWN_DELETE_ARRAY say which.
#include "keep.h"
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#ifdef OWN_NEW
void *operator new(std::size_t size) {
    return std::malloc(size);
}
#endif
#ifdef OWN_DELETE
void operator delete(void *block) noexcept {
    std::free(block);
}
void operator delete(void *block, std::size_t) noexcept {
    std::free(block);
}
#endif
#ifdef OWN_NEW_ARRAY
void *operator new[](std::size_t size) {
    return std::malloc(size);
}
#endif
#ifdef OWN_DELETE_ARRAY
void operator delete[](void *block) noexcept {
    std::free(block);
}
void operator delete[](void *block, std::size_t) noexcept {
    std::free(block);
}
#endif

int main() {
    for (int round = 0; round < 10; round++) {
        long *one = new long(7);
        keep(one);
        delete one;
        long *many = new long[10];
        keep(many);
        delete[] many;
        std::vector<std::string> texts(10, std::string(100, 'x'));
        keep(texts.data());
    }
    return 0;
}
