// Forks 1,000 times while three other threads allocate without pause. Every child starts two threads, which allocate and free and
// keep one block of 33 bytes each, and ends with 3. Up to eight of them run at a time.
#include "keep.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 1000, AT_A_TIME = 8 };

static atomic_int done;

static void *churn(void *argument) {
    void *blocks[32] = {0};
    for (unsigned i = 0; !done; i++) {
        free(blocks[i % 32]);
        blocks[i % 32] = malloc(opaque(64 + i % 100));
    }
    for (int i = 0; i < 32; i++)
        free(blocks[i]);
    return argument;
}

FUNCTION void keep_one(void) { keep(malloc(33)); }

static void *in_the_child(void *argument) {
    for (int i = 0; i < 20; i++)
        free(malloc(opaque(32)));
    keep_one();
    return argument;
}

static void await_one(void) {
    int status = 0;
    if (wait(&status) < 0 || status != 3 << 8) {
        printf("child: %x\n", (unsigned)status);
        exit(1);
    }
}

int main(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < FORKS; i++) {
        if (i >= AT_A_TIME)
            await_one();
        if (fork() == 0) {
            pthread_t own[2];
            for (int j = 0; j < 2; j++)
                if (pthread_create(&own[j], NULL, in_the_child, NULL))
                    _exit(1);
            for (int j = 0; j < 2; j++)
                pthread_join(own[j], NULL);
            _exit(3);
        }
    }
    for (int i = 0; i < AT_A_TIME; i++)
        await_one();
    done = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
