// 200 threads, 8 at a time, pass blocks to each other: each frees what its predecessor left in the slot and leaves one of
// its own. Live at the end: one block of 48 bytes per slot.
#include "keep.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SLOTS = 8, ROUNDS = 25, EXCHANGES = 2000 };

static _Atomic(void *) slots[SLOTS];

static void *exchange(void *argument) {
    unsigned slot = (unsigned)(unsigned long)argument;
    for (int i = 0; i < EXCHANGES; i++) {
        void *mine = malloc(48); // leak: 8 blocks, 384 bytes by malloc in exchange
        free(atomic_exchange(&slots[(slot + i) % SLOTS], mine));
    }
    return NULL;
}

int main(void) {
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[SLOTS];
        for (unsigned long i = 0; i < SLOTS; i++)
            if (pthread_create(&threads[i], NULL, exchange, (void *)i))
                abort();
        for (int i = 0; i < SLOTS; i++)
            pthread_join(threads[i], NULL);
    }
    return 0;
}
