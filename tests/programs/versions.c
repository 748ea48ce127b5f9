// Two versions of a program; the second one (-DSECOND) has a new leak, a mended one, more blocks of an old one, and lines that moved.
#include "keep.h"
#include <stdlib.h>

static void *volatile last;

#ifdef SECOND
FUNCTION void new_leak(void) { last = malloc(1000); }
// Everything below has moved.
#line 100
#endif
FUNCTION void mended_leak(void) {
    void *block = malloc(300);
#ifdef SECOND
    free(block);
#else
    last = block;
#endif
}

#ifndef SECOND
FUNCTION void removed_leak(void) { last = malloc(70); }
#endif

FUNCTION void old_leak(void) { last = malloc(50); }

FUNCTION void fewer_blocks(void) { last = malloc(20); }

FUNCTION void same_leak(void) { last = malloc(400); }

int main(void) {
#ifdef SECOND
    new_leak();
    int old = 8, few = 3;
#else
    removed_leak();
    int old = 5, few = 4;
#endif
    mended_leak();
    same_leak();
    for (int i = 0; i < old; i++)
        old_leak();
    for (int i = 0; i < few; i++)
        fewer_blocks();
    last = NULL;
    return 0;
}
