// Sets markers: `markers [many]`. What is allocated between two of them bears the name of the time.
#include "../../interposer/include/libleak.h"
#include "block.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

BLOCK(while_it_starts, 101)
BLOCK(while_it_is_warm, 102)
BLOCK(while_it_ends, 103)

static void *volatile blocks[3];

FUNCTION void mark(const char *name) {
    // Blocks know when they were born to a fraction of a millisecond.
    usleep(2000);
    if (libleak_mark)
        libleak_mark(name);
    usleep(2000);
}

int main(int count, char **args) {
    if (count > 1 && !strcmp(args[1], "many")) {
        char name[32];
        for (int i = 0; i < 70000; i++) {
            snprintf(name, sizeof name, "request %d", i % 100);
            libleak_mark(name);
        }
    }
    blocks[0] = while_it_starts();
    mark("warm");
    blocks[1] = while_it_is_warm();
    mark("the \033[31mend\n<b>");
    blocks[2] = while_it_ends();
    mark("warm");
    return 0;
}
