// Ways out of an allocation other than its return: exceptions and longjmp. What is allocated afterwards must be
// recorded as if nothing had happened. The argument chooses the way.
#include "keep.h"
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace {

std::jmp_buf before;

FUNCTION void afterwards() {
    for (int i = 0; i < 4; i++)
        keep(std::malloc(44)); // leak: 4 blocks, 176 bytes by malloc in afterwards
    delete new int;
}

FUNCTION void bad_alloc() {
    try {
        keep(::operator new(opaque(PTRDIFF_MAX)));
    } catch (const std::bad_alloc &error) {
        std::puts(error.what());
    }
    try {
        keep(::operator new[](opaque(PTRDIFF_MAX), std::align_val_t{64}));
    } catch (const std::bad_alloc &error) {
        std::puts(error.what());
    }
    if (::operator new(opaque(PTRDIFF_MAX), std::nothrow))
        std::abort();
}

// The handler runs inside operator new, allocates there, and leaves it by an exception, or by longjmp.
void throwing_handler() {
    delete[] new char[1000];
    throw std::runtime_error("out of operator new");
}

void jumping_handler() {
    delete[] new char[1000];
    std::longjmp(before, 1);
}

FUNCTION void throwing() {
    std::set_new_handler(throwing_handler);
    try {
        keep(::operator new(opaque(PTRDIFF_MAX)));
    } catch (const std::runtime_error &error) {
        std::puts(error.what());
    }
}

FUNCTION void jumping() {
    std::set_new_handler(jumping_handler);
    for (volatile int i = 0; i < 3; i++)
        if (setjmp(before) == 0)
            keep(::operator new(opaque(PTRDIFF_MAX)));
    std::puts("jumped");
}

int throwing_compare(const void *, const void *) { throw std::runtime_error("out of qsort"); }

// Few enough for qsort to need no block of its own, which some versions of libc would lose here.
FUNCTION void through_qsort() {
    static int numbers[100];
    try {
        std::qsort(numbers, 100, sizeof(int), throwing_compare);
    } catch (const std::runtime_error &error) {
        std::puts(error.what());
    }
}

} // namespace

int main(int, char **args) {
    const char *way = args[1];
    std::setvbuf(stdout, nullptr, _IONBF, 0);
    if (!std::strcmp(way, "bad_alloc"))
        bad_alloc();
    else if (!std::strcmp(way, "throw"))
        throwing();
    else if (!std::strcmp(way, "longjmp"))
        jumping();
    else if (!std::strcmp(way, "qsort"))
        through_qsort();
    else
        return 2;
    afterwards();
    return 0;
}
