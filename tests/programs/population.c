// A known population of blocks, for estimates from samples: eight functions that allocate, each in its own sizes, and keep
// some of it. Prints what each did, one line per function: its name, allocations, their bytes, live blocks, live bytes.
// `population fork` then forks a child that frees nothing and ends with 0.
#include "keep.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct truth {
    long allocations, bytes, live_blocks, live_bytes;
};

static uint64_t state = 88172645463325252ull;

// Xorshift (Marsaglia 2003): the same sizes in every run.
static uint64_t random_number(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

// Roughly lognormal: from 16 to 131,071 bytes, half of them below 1.5 KiB.
static size_t mixed_size(void) {
    int log2 = 4;
    for (int i = 0; i < 12; i++)
        log2 += random_number() >> 63;
    return ((size_t)1 << log2) + random_number() % ((size_t)1 << log2);
}

static void given(struct truth *truth, size_t size) {
    truth->allocations++, truth->bytes += size;
    truth->live_blocks++, truth->live_bytes += size;
}

static void taken(struct truth *truth, size_t size) { truth->live_blocks--, truth->live_bytes -= size; }

static void print(const char *name, const struct truth *truth) {
    // dprintf takes no memory from malloc.
    dprintf(1, "%s %ld %ld %ld %ld\n", name, truth->allocations, truth->bytes, truth->live_blocks, truth->live_bytes);
}

// Every block is kept.
FUNCTION struct truth equal(void) {
    struct truth truth = {0};
    for (int i = 0; i < 12000; i++) {
        keep(malloc(opaque(40)));
        given(&truth, 40);
    }
    return truth;
}

// One of three is kept.
FUNCTION struct truth mostly_freed(void) {
    struct truth truth = {0};
    for (int i = 0; i < 9000; i++) {
        void *block = malloc(opaque(120));
        given(&truth, 120);
        if (i % 3)
            free(block), taken(&truth, 120);
        else
            keep(block);
    }
    return truth;
}

// Sizes of four powers of ten; two of three are kept.
FUNCTION struct truth mixed(void) {
    struct truth truth = {0};
    for (int i = 0; i < 450; i++) {
        size_t size = mixed_size();
        void *block = calloc(1, size);
        given(&truth, size);
        if (i % 3 == 0)
            free(block), taken(&truth, size);
        else
            keep(block);
    }
    return truth;
}

// Many small ones, and a few that are much larger than the distance between samples.
FUNCTION struct truth small_and_large(void) {
    struct truth truth = {0};
    for (int i = 0; i < 6000; i++) {
        size_t size = i % 1000 ? 64 : 200000;
        keep(malloc(opaque(size)));
        given(&truth, size);
    }
    return truth;
}

// About as large as the distance between samples.
FUNCTION struct truth near(void) {
    struct truth truth = {0};
    for (int i = 0; i < 60; i++) {
        size_t size = 4000 + random_number() % 40000;
        keep(malloc(size));
        given(&truth, size);
    }
    return truth;
}

// Arrays that grow: a realloc is a free and an allocation.
FUNCTION struct truth grown(void) {
    struct truth truth = {0};
    for (int i = 0; i < 150; i++) {
        char *array = NULL;
        size_t old = 0;
        for (size_t size = 64; size <= 2048; size *= 2) {
            array = realloc(array, opaque(size));
            if (old)
                taken(&truth, old);
            given(&truth, size);
            old = size;
        }
        keep(array);
    }
    return truth;
}

// Aligned ones.
FUNCTION struct truth aligned(void) {
    struct truth truth = {0};
    for (int i = 0; i < 900; i++) {
        void *block = NULL;
        if (posix_memalign(&block, 64, opaque(512)))
            abort();
        keep(block);
        given(&truth, 512);
    }
    return truth;
}

// Nothing is kept.
FUNCTION struct truth all_freed(void) {
    struct truth truth = {0};
    for (int i = 0; i < 5000; i++) {
        size_t size = 16 + i % 7 * 16;
        void *block = malloc(opaque(size));
        given(&truth, size);
        keep(block);
        free(block), taken(&truth, size);
    }
    return truth;
}

int main(int count, char **args) {
    (void)args;
    const struct {
        const char *name;
        struct truth truth;
    } all[] = {
        {"equal", equal()},     {"mostly_freed", mostly_freed()}, {"mixed", mixed()},     {"small_and_large", small_and_large()},
        {"near", near()},       {"grown", grown()},               {"aligned", aligned()}, {"all_freed", all_freed()},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        print(all[i].name, &all[i].truth);
    if (count < 2)
        return 0;
    pid_t child = fork();
    if (child == 0)
        free(malloc(opaque(1 << 20))), _exit(0); // Its first event begins its trace.
    int status = 1;
    return waitpid(child, &status, 0) != child || status;
}
