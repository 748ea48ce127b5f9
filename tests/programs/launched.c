// A program to be executed: says what is preloaded into it, allocates, and ends with 7.
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *preload = getenv("LD_PRELOAD");
    printf("LD_PRELOAD=%s\n", preload ? preload : "");
    void *volatile block = malloc(100);
    block = realloc(block, 1000);
    free(block);
    return 7;
}
