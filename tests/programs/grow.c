// What docs/comparison.md tries every tool with: keeps one block and loses one for every 10,000 that it frees, for some seconds.
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct node {
    struct node *next;
    char rest[120];
};

static struct node *volatile all;

static __attribute__((noinline)) void put(void) {
    struct node *node = malloc(sizeof *node);
    node->next = all;
    all = node;
}

static __attribute__((noinline)) void leak(void) {
    void *volatile lost = malloc(64);
    memset(lost, 0, 64);
}

int main(int count, char **words) {
    time_t end = time(NULL) + (count > 1 ? atoi(words[1]) : 3);
    while (time(NULL) < end) {
        for (int i = 0; i < 10000; i++) {
            free(malloc(100));
        }
        put();
        leak();
    }
}
