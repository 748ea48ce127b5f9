// Four threads allocate, reallocate and free without end, and each keeps its own tally in a shared file (first argument), so
// that whoever kills the program knows what is live. The tests read the file in this layout:
//
// per thread 128 bytes: `current`, the number of finished operations (u64); two states of { live blocks, live bytes } (i64), of
// which [current & 1] is in force; `pending`, what the operation under way changes in them; and `under_way`, the number of the
// operation that `pending` belongs to (u64): if it is current + 1, that operation has begun and not finished.
//
// With a second argument the first thread ends the process in that way after 5,000 operations, while the others go on.
#include "keep.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 4, BLOCKS = 512 };

struct change {
    int64_t blocks, bytes;
};

struct tally {
    _Atomic uint64_t current;
    struct change states[2];
    struct change pending;
    _Atomic uint64_t under_way;
    char padding[64];
};
_Static_assert(sizeof(struct tally) == 128, "the layout that the tests read");

static struct tally *tallies;
static const char *way = "";

static void end(void) {
    if (!strcmp(way, "exit"))
        exit(3);
    if (!strcmp(way, "_exit"))
        _exit(4);
    if (!strcmp(way, "quick_exit"))
        quick_exit(5);
    if (!strcmp(way, "abort"))
        abort();
    if (!strcmp(way, "SIGINT"))
        kill(getpid(), SIGINT);
    if (!strcmp(way, "SIGSEGV"))
        *(volatile int *)opaque(0) = 1;
    if (!strcmp(way, "exec"))
        execl("/bin/true", "true", (char *)NULL);
}

static void begin(struct tally *tally, int64_t blocks, int64_t bytes) {
    tally->pending = (struct change){blocks, bytes};
    atomic_store_explicit(&tally->under_way, tally->current + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

static void finish(struct tally *tally) {
    atomic_signal_fence(memory_order_seq_cst);
    const struct change *old = &tally->states[tally->current & 1];
    struct change *new = &tally->states[(tally->current + 1) & 1];
    new->blocks = old->blocks + tally->pending.blocks;
    new->bytes = old->bytes + tally->pending.bytes;
    atomic_store_explicit(&tally->current, tally->current + 1, memory_order_release);
}

static void *churn(void *argument) {
    struct tally *tally = argument;
    void *blocks[BLOCKS] = {0};
    int64_t sizes[BLOCKS] = {0};
    uint64_t random = 88172645463325252ull + (uint64_t)(tally - tallies);
    for (;;) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        int slot = random % BLOCKS;
        int64_t size = 16 + random / BLOCKS % 1000;
        if (!blocks[slot]) {
            begin(tally, 1, size);
            blocks[slot] = malloc(size);
            sizes[slot] = size;
        } else if (random >> 60 == 0) {
            begin(tally, 0, size - sizes[slot]);
            blocks[slot] = realloc(blocks[slot], size);
            sizes[slot] = size;
        } else {
            begin(tally, -1, -sizes[slot]);
            free(blocks[slot]);
            blocks[slot] = NULL;
        }
        finish(tally);
        if (tally == tallies && tally->current == 5000)
            end();
    }
    return NULL;
}

int main(int count, char **args) {
    int file = count > 1 ? open(args[1], O_RDWR | O_CREAT, 0600) : -1;
    way = count > 2 ? args[2] : "";
    if (file < 0 || ftruncate(file, THREADS * sizeof(struct tally)))
        return 1;
    tallies = mmap(NULL, THREADS * sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (tallies == MAP_FAILED)
        return 1;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, churn, &tallies[i]);
    if (!strcmp(way, "pthread_exit"))
        pthread_exit(NULL);
    if (!strcmp(way, "return")) {
        while (tallies->current < 5000)
            sched_yield();
        return 6;
    }
    pthread_join(threads[0], NULL);
    return 0;
}
