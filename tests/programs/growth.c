// Arrays that grow by realloc, 200 at a time: `growth OPERATIONS`. An array drawn by lot grows by half, from 16 bytes to over
// 64 KiB; then it is freed and begins anew. Prints the calls of realloc and the time they took.
#include "keep.h"
#include "timed.h"

enum { ARRAYS = 200, SMALLEST = 16, LARGEST = 64 << 10 };

struct array {
    char *bytes;
    size_t capacity;
};

FUNCTION void grow(struct array *array) {
    if (array->capacity > LARGEST) {
        free(array->bytes);
        *array = (struct array){NULL, 0};
    }
    array->capacity = array->capacity ? array->capacity + array->capacity / 2 : SMALLEST;
    array->bytes = realloc(array->bytes, array->capacity);
    array->bytes[array->capacity - 1] = 1;
}

static void body(void *argument, int thread) {
    struct array arrays[ARRAYS] = {{NULL, 0}};
    uint64_t state = (uint64_t)thread + 1;
    for (long i = 0; i < *(long *)argument; i++)
        grow(&arrays[timed_random(&state) % ARRAYS]);
    for (int i = 0; i < ARRAYS; i++)
        free(arrays[i].bytes);
}

int main(int count, char **args) {
    long operations = count > 1 ? atol(args[1]) : 10000;
    timed_print(operations, timed_run(1, body, &operations));
    return 0;
}
