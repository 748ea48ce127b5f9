// A library that is loaded and unloaded while the program runs: keeps one block of the size it was built with.
#include "keep.h"
#include <stdlib.h>

#ifndef SIZE
#define SIZE 640
#endif

#define JOIN(a, b) a##b
#define NAMED(size) JOIN(plugin_keeps_, size)

FUNCTION void NAMED(SIZE)(void) { keep(malloc(SIZE)); }

void plugin_run(void) { NAMED(SIZE)(); }
