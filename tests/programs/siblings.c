// Sessions that are mostly closed and sometimes forgotten: `siblings HOW [NUMBER] [THREADS]`. Live at the end: what was forgotten.
#include "keep.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct session {
    char text[64];
};

FUNCTION struct session *session_create(void) { return memset(malloc(sizeof(struct session)), 1, sizeof(struct session)); }

// What follows the call of free is different in each, or compilers would make one function of them, and a jump of the call.
FUNCTION void session_close(struct session *session) {
    free(session);
    keep((void *)1);
}

FUNCTION void session_abort(struct session *session) {
    free(session);
    keep((void *)2);
}

FUNCTION void child_close(struct session *session) {
    free(session);
    keep((void *)3);
}

FUNCTION void forget(struct session *session) { keep(session); }

// Every tenth request is aborted, in every hundredth the error path forgets the session.
FUNCTION void request(unsigned long number) {
    struct session *session = session_create();
    if (number % 100 == 7)
        forget(session);
    else if (number % 10 == 5)
        session_abort(session);
    else
        session_close(session);
}

// Only ever closed, or forgotten.
FUNCTION void simple_request(unsigned long number, void (*close)(struct session *)) {
    struct session *session = session_create();
    if (number % 100 == 7)
        forget(session);
    else
        close(session);
}

static unsigned long number;

static void *requests(void *nothing) {
    for (unsigned long i = 0; i < number; i++) request(i);
    return nothing;
}

// A buffer that grows where it is used: all but each tenth.
FUNCTION char *buffer_create(void) { return memset(malloc(100), 1, 100); }

FUNCTION char *buffer_grow(char *buffer) {
    char *grown = realloc(buffer, 5000);
    keep(grown);
    return grown;
}

FUNCTION void buffer_request(unsigned long number) {
    char *buffer = buffer_create();
    if (number % 10 != 9)
        free(buffer_grow(buffer));
    else
        keep(buffer);
}

// Nine small sessions that are closed, then a large one that is aborted.
FUNCTION struct session *session_of(unsigned long size) { return memset(malloc(size), 1, size); }

FUNCTION void sized_request(unsigned long number) {
    struct session *session = session_of(number % 10 == 5 ? 6400 : 64);
    if (number % 10 == 5)
        session_abort(session);
    else
        session_close(session);
}

// Closed at as many depths as there are requests.
FUNCTION void close_deep(struct session *session, unsigned long depth) {
    if (depth == 0)
        session_close(session);
    else
        close_deep(session, depth - 1);
    keep(&depth);
}

int main(int count, char **args) {
    const char *how = count > 1 ? args[1] : "";
    number = count > 2 ? strtoul(args[2], NULL, 10) : 1000;
    unsigned long threads = count > 3 ? strtoul(args[3], NULL, 10) : 1;
    if (strcmp(how, "places") == 0) {
        pthread_t started[64];
        for (unsigned long i = 1; i < threads && i < 64; i++) pthread_create(&started[i], NULL, requests, NULL);
        requests(NULL);
        for (unsigned long i = 1; i < threads && i < 64; i++) pthread_join(started[i], NULL);
    } else if (strcmp(how, "realloc") == 0) {
        for (unsigned long i = 0; i < number; i++) buffer_request(i);
    } else if (strcmp(how, "sizes") == 0) {
        for (unsigned long i = 0; i < number; i++) sized_request(i);
    } else if (strcmp(how, "deep") == 0) {
        for (unsigned long i = 0; i < number; i++) {
            struct session *session = session_create();
            if (i + 1 < number)
                close_deep(session, i % 50);
            else
                forget(session);
        }
    } else if (strcmp(how, "fork") == 0) {
        for (unsigned long i = 0; i < number; i++) simple_request(i, session_close);
        if (fork() == 0) {
            for (unsigned long i = 0; i < number; i++) simple_request(i, child_close);
            exit(0);
        }
        wait(NULL);
    } else {
        for (unsigned long i = 0; i < number; i++) simple_request(i, session_close);
        if (strcmp(how, "stay") == 0) {
            puts("done");
            fflush(stdout);
            pause();
        }
    }
    // What the stack still holds would be reachable.
    keep(NULL);
    return 0;
}
