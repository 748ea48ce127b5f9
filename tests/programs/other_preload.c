// A library for LD_PRELOAD that says so, in every program, on stderr.
#include <unistd.h>

__attribute__((constructor)) static void say(void) {
    if (write(2, "other\n", 6) != 6)
        _exit(1);
}
