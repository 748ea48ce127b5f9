// A server, so to say: REQUESTS_PER_SECOND for SECONDS. Each request loses 100 bytes, adds to a log that only ever grows, renews an
// entry of a cache of 32, and works with a buffer that it gives back.
#include "keep.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

FUNCTION void lose(void) { keep(malloc(100)); }

static char *journal;
static size_t length;

FUNCTION void write_journal(void) {
    length += 700;
    journal = realloc(journal, length);
    memset(journal + length - 700, 'j', 700);
}

static void *cache[32];

FUNCTION void renew(unsigned long request) {
    void **entry = &cache[request % 32];
    free(*entry);
    *entry = malloc(300);
}

FUNCTION void work(void) {
    void *buffer = malloc(4000);
    keep(buffer);
    free(buffer);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    double rate = atof(argv[1]), seconds = atof(argv[2]);
    struct timespec pause = { 0, (long)(1e9 / rate) };
    for (unsigned long request = 0; (double)request < rate * seconds; request++) {
        lose();
        write_journal();
        renew(request);
        work();
        nanosleep(&pause, NULL);
    }
    return 0;
}
