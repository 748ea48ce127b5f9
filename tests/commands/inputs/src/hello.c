#include "part.h"
#include <stdio.h>

int main(int count, char **args) {
    char *text = join(count > 1 ? args[1] : "hello", "world");
    printf("%s: %zu\n", text, sum(100));
    release(text);
    return 0;
}
