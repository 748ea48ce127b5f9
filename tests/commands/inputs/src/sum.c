#include "part.h"

size_t sum(size_t count) {
    size_t total = 0;
    for (size_t i = 1; i <= count; i++)
        total += i;
    return total;
}
