// Anonymous memory that the program maps itself, in pages of 4096 bytes. Files and what the allocator maps are none.
#define _GNU_SOURCE
#include "keep.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

FUNCTION char *checked(void *address) {
    if (address == MAP_FAILED)
        abort();
    keep(address);
    return address;
}

FUNCTION void whole(void) {
    checked(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); // leak: 1 block, 12288 bytes by mmap in whole
    checked(mmap64(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); // leak: 1 block, 8192 bytes by mmap in whole
    void *gone = checked(mmap(NULL, 9 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    munmap(gone, 9 * PAGE);
    if (mmap(NULL, opaque(0), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        abort();
}

FUNCTION void split(void) {
    char *map = checked(mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); // leak: 2 blocks, 40960 bytes by mmap in split
    munmap(map + 4 * PAGE, 6 * PAGE);
}

FUNCTION void trimmed(void) {
    char *map = checked(mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); // leak: 1 block, 28672 bytes by mmap in trimmed
    munmap(map, 5 * PAGE);
    munmap(map + 12 * PAGE, 4 * PAGE);
}

// One munmap over the end of a mapping and the beginning of its neighbour.
FUNCTION void straddled(void) {
    char *room = checked(mmap(NULL, 20 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    munmap(room, 20 * PAGE);
    const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    checked(mmap(room, 10 * PAGE, PROT_READ, fixed, -1, 0)); // leak: 1 block, 32768 bytes by mmap in straddled
    checked(mmap(room + 10 * PAGE, 10 * PAGE, PROT_READ, fixed, -1, 0)); // leak: 1 block, 28672 bytes by mmap in straddled
    munmap(room + 8 * PAGE, 5 * PAGE);
}

// A mapping put over the middle of another one replaces that part.
FUNCTION void replaced(void) {
    char *map = checked(mmap(NULL, 10 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); // leak: 2 blocks, 24576 bytes by mmap in replaced
    const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    checked(mmap(map + 3 * PAGE, 4 * PAGE, PROT_READ, fixed, -1, 0)); // leak: 1 block, 16384 bytes by mmap in replaced
}

FUNCTION void resized(void) {
    char *map = checked(mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    checked(mremap(map, 4 * PAGE, 40 * PAGE, MREMAP_MAYMOVE)); // leak: 1 block, 163840 bytes by mmap in resized
    map = checked(mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    checked(mremap(map, 8 * PAGE, 2 * PAGE, 0)); // leak: 1 block, 8192 bytes by mmap in resized
}

FUNCTION void of_a_file(void) {
    int file = open("/proc/self/exe", O_RDONLY);
    checked(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0));
    close(file);
}

int main(void) {
    whole();
    split();
    trimmed();
    straddled();
    replaced();
    resized();
    of_a_file();
    // Large enough for the allocator to map it: a block of the heap, not a mapping of the program.
    keep(malloc(4000000)); // leak: 1 block, 4000000 bytes by malloc in main
    return 0;
}
