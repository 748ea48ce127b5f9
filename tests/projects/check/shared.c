// A shared library that loses what it takes.
#include "block.h"

void shared_lose(void);

void shared_lose(void) { take_and_lose(96); }
