// Keeps a block in a function, a file and a thread, and at markers, whose names would be HTML, end a script, steer a terminal or turn text round.
// A browser that ran any of it would change the page's title.
#define _GNU_SOURCE
#include "../../interposer/include/libleak.h"
#include "keep.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

void hostile(void) __asm__("\"</script><script>document.title='run'</script><img src=x onerror=document.title='run'>]]>\033[31m\342\200\256\"");

int main(void) {
    pthread_setname_np(pthread_self(), "<b>\033[8m\n&amp;");
    if (libleak_mark) {
        libleak_mark("</script><script>document.title='run'</script>");
        libleak_mark("<!--<script>\n]]>\033[2J");
    }
    for (int i = 0; i < 10; i++)
        hostile();
    usleep(10000);
    return 0;
}

#line 3 "<iframe src=javascript:document.title='run'>\033]0;title\007\342\200\256file.c"
__attribute__((noinline, noclone)) void hostile(void) { keep(malloc(10)); }
