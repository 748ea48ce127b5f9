// Keeps a block of 10 bytes in a function, a file, a thread and a process whose names would steer a terminal: ESC and C1 sequences, a
// newline, a change of direction, bytes that are no UTF-8. (The assembler takes no newline in a symbol.)
#define _GNU_SOURCE
#include "keep.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

void odd(void) __asm__("\"odd\033[31m\302\2332J\342\200\256\377name\"");

int main(void) {
    pthread_setname_np(pthread_self(), "\033[8m\nFAKE\302\233\377");
    odd();
    return 0;
}

#line 3 "odd\033]0;title\007\nFAKE \342\200\256\377file.c"
__attribute__((noinline, noclone)) void odd(void) { keep(malloc(10)); }
