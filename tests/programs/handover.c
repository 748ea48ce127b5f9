// One thread only allocates, another only frees: `handover BLOCKS`. The blocks pass through a queue of 1024. Prints how many
// there were and how long they took.
#include "keep.h"
#include "timed.h"
#include <sched.h>
#include <stdatomic.h>

enum { ROOM = 1024, SIZE = 64 };

struct queue {
    long blocks;
    void *slots[ROOM];
    // On lines of their own: each is written by one thread.
    _Alignas(64) atomic_long put;
    _Alignas(64) atomic_long taken;
};

FUNCTION void produce(struct queue *queue) {
    for (long i = 0; i < queue->blocks; i++) {
        while (i - atomic_load_explicit(&queue->taken, memory_order_acquire) == ROOM)
            sched_yield();
        queue->slots[i % ROOM] = malloc(SIZE);
        atomic_store_explicit(&queue->put, i + 1, memory_order_release);
    }
}

FUNCTION void consume(struct queue *queue) {
    for (long i = 0; i < queue->blocks; i++) {
        while (atomic_load_explicit(&queue->put, memory_order_acquire) == i)
            sched_yield();
        free(queue->slots[i % ROOM]);
        atomic_store_explicit(&queue->taken, i + 1, memory_order_release);
    }
}

static void body(void *argument, int thread) { (thread == 0 ? produce : consume)(argument); }

int main(int count, char **args) {
    static struct queue queue;
    queue.blocks = count > 1 ? atol(args[1]) : 10000;
    timed_print(queue.blocks, timed_run(2, body, &queue));
    return 0;
}
