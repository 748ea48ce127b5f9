// What docs/comparison.md tries every tool with. The right answer is there, and in tests/documents.rs.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
    struct node *next;
    char rest[56];
};

static char *volatile kept;
static char *volatile inside;

static __attribute__((noinline)) void *block(size_t size) {
    return memset(malloc(size), 1, size);
}

static __attribute__((noinline)) void lose(void) {
    struct node *volatile first = block(sizeof(struct node));
    first->next = block(sizeof(struct node));
    first = NULL;
}

static __attribute__((noinline)) void keep(void) {
    kept = block(1000);
    inside = (char *)block(500) + 100;
}

static __attribute__((noinline)) void churn(void) {
    for (int i = 0; i < 1000; i++) {
        free(block(100));
    }
}

// What the functions before it left on the stack holds no block.
static __attribute__((noinline)) void wipe(void) {
    volatile char stack[4096];
    for (size_t i = 0; i < sizeof stack; i++) {
        stack[i] = 0;
    }
}

int main(int count, char **words) {
    const char *then = count > 1 ? words[1] : "end";
    for (int i = 0; i < 5; i++) {
        lose();
    }
    keep();
    churn();
    wipe();
    if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) {
        return 1;
    }
    if (!strcmp(then, "kill")) {
        kill(getpid(), SIGKILL);
    } else if (!strcmp(then, "abort")) {
        abort();
    } else if (!strcmp(then, "fork")) {
        return fork() > 0 && wait(NULL) < 0;
    } else if (!strcmp(then, "sys")) {
        return system(words[0]);
    } else if (!strcmp(then, "wait")) {
        pause();
    }
    return 0;
}
