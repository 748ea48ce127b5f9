// glibc's knobs and statistics: they work, and show nothing of libleak.
#include "keep.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FUNCTION void statistics(const char *when) {
    struct mallinfo2 info = mallinfo2();
    printf("%s: arena %zu, in use %zu, free %zu, mapped %zu in %zu\n", when, info.arena, info.uordblks, info.fordblks,
           info.hblkhd, info.hblks);
}

int main(void) {
    static char buffer[1 << 16];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    char *start = sbrk(0);
    statistics("start");
    printf("mallopt: %d %d %d\n", mallopt(M_MMAP_THRESHOLD, 100000), mallopt(M_ARENA_MAX, 1), mallopt(M_TRIM_THRESHOLD, 1 << 20));
    static char *blocks[1000];
    for (int i = 0; i < 1000; i++)
        blocks[i] = malloc(1000 + i);
    char *large = malloc(200000);
    statistics("full");
    for (int i = 0; i < 1000; i++)
        free(blocks[i]);
    keep(malloc(40)); // leak: 1 block, 40 bytes by malloc in main
    free(large);
    printf("malloc_trim: %d\n", malloc_trim(0));
    statistics("trimmed");
    printf("break: %td\n", (char *)sbrk(0) - start);
    mallopt(M_PERTURB, 0x55);
    unsigned char *filled = malloc(64);
    printf("perturbed: %02x, usable %zu %zu\n", filled[9], malloc_usable_size(filled), malloc_usable_size(NULL));
    keep(filled = realloc(filled, 100)); // leak: 1 block, 100 bytes by realloc in main
    malloc_info(0, stdout);
    return 0;
}
