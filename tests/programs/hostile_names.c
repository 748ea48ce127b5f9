// Loses a block of 100 bytes in functions, and a file, whose names mean something to Markdown, HTML, XML, URIs and workflow commands.
#include "keep.h"
#include <stdlib.h>

// In debug info the names have the quotes that they have for the assembler.
#define VISIBLE __attribute__((noinline, noclone))

void table(void) __asm__("\"a|b|c`d`` <img src=x> @me #1 [x](y) **z**\"");
void command(void) __asm__("\"::error file=x,line=1::%0A%25 a@b.example https://x.example www.x.example\"");
void markup(void) __asm__("\"</code></details>]]>&amp;{0}operator new[](\357\277\277\302\233\377)\"");

void *volatile last;

int main(void) {
    table();
    return 0;
}

VISIBLE void table(void) {
    command();
    keep(NULL);
}
VISIBLE void command(void) {
    markup();
    keep(NULL);
}

#line 7 "odd #?%: [x]\033`|@me.c"
VISIBLE void markup(void) {
    last = malloc(100);
    last = NULL;
}
