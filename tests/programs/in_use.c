// What the leak check knows of growth: REQUESTS_PER_SECOND for SECONDS. Each request loses a block, adds one to a list that is kept
// to the end, opens a session (every second one is forgotten, the other closed after a time that may be nearly as long as the run),
// and renews an entry of a table that only a variable of main holds.
#include "keep.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

FUNCTION void lose(void) { keep(memset(malloc(100), 1, 100)); }

struct node {
    struct node *next;
    char text[56];
};
static struct node *list;

FUNCTION void build(void) {
    struct node *node = calloc(1, sizeof *node);
    node->next = list;
    list = node;
}

enum { MOST = 4096 };
static void *sessions[MOST];

FUNCTION void *open_session(void) { return memset(malloc(200), 1, 200); }

FUNCTION void renew(void **entry) {
    free(*entry);
    *entry = memset(malloc(72), 1, 72);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    double rate = atof(argv[1]), seconds = atof(argv[2]);
    unsigned long requests = (unsigned long)(rate * seconds), random = 1;
    if (requests > MOST) return 2;
    unsigned long closed_by[MOST];
    void *table[64] = {0};
    struct timespec pause = {0, (long)(1e9 / rate)};
    for (unsigned long request = 0; request < requests; request++) {
        lose();
        build();
        random = random * 6364136223846793005u + 1442695040888963407u;
        // An even spread of lifetimes up to twice the run; every second session is forgotten.
        closed_by[request] = request + (random >> 33) % (2 * requests);
        void *session = open_session();
        sessions[request] = request % 2 ? session : NULL;
        keep(NULL);
        for (unsigned long open = 0; open < request; open++) {
            if (!sessions[open] || closed_by[open] > request) continue;
            free(sessions[open]);
            sessions[open] = NULL;
        }
        renew(&table[(random >> 20) % 64]);
        nanosleep(&pause, NULL);
    }
    keep(table);
    return 0;
}
