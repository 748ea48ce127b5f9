// A library that is loaded and unloaded while the program runs: makes a block of the size it was built with.
#include "keep.h"
#include <stdlib.h>

FUNCTION void *make(void) { return malloc(SIZE); }

void *plugin_makes(void) { return make(); }
