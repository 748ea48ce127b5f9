// Forks 50 times while three other threads allocate without pause: no fork may hang or disturb the parent. Every child
// allocates and frees, and ends with 0.
#include "keep.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int done;

static void *churn(void *argument) {
    while (!done)
        free(malloc(opaque(64)));
    return argument;
}

int main(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < 100; j++)
                free(malloc(opaque(32)));
            _exit(0);
        }
        int status = 1;
        if (waitpid(child, &status, 0) != child || status)
            return 1;
    }
    done = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
