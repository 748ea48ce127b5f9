// Keeps a block of 100 bytes in functions whose names mean something to formats: separators of folded stacks, XML, formulas of
// spreadsheets, bytes that are no UTF-8.
#include "keep.h"
#include <stdlib.h>

void separators(void) __asm__("\"a;b 12\"");
void markup(void) __asm__("\"</title><script>alert(1)</script>]]>&amp;\"");
void formula(void) __asm__("\"=1+1,\302\2332J\377\"");

__attribute__((noinline, noclone)) void formula(void) { keep(malloc(100)); }
__attribute__((noinline, noclone)) void markup(void) {
    formula();
    keep(NULL);
}
__attribute__((noinline, noclone)) void separators(void) {
    markup();
    keep(NULL);
}

int main(void) {
    separators();
    keep(NULL);
    return 0;
}
