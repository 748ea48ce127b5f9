// A program that defines malloc and its relatives itself.
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static char arena[1 << 22];
static size_t used;
static unsigned long mallocs, frees;

void *malloc(size_t size) {
    size = (size + 31) & ~(size_t)15;
    if (used + size > sizeof arena)
        return NULL;
    char *block = arena + used;
    used += size;
    mallocs++;
    memcpy(block, &size, sizeof size);
    return block + 16;
}

void free(void *block) { frees += block != NULL; }

void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *old, size_t size) {
    void *block = malloc(size);
    if (old && block) {
        size_t length;
        memcpy(&length, (char *)old - 16, sizeof length);
        memcpy(block, old, length - 16 < size ? length - 16 : size);
    }
    return block;
}

int main(void) {
    for (int i = 0; i < 1000; i++)
        free(malloc(100));
    char *text = strdup("by libc, from the program's malloc");
    text = realloc(text, 1000);
    const char *whose = text >= arena && text < arena + sizeof arena ? "its own" : "another's";
    printf("%s: %s; %lu mallocs, %lu frees\n", text, whose, mallocs, frees);
    free(text);
    return 0;
}
