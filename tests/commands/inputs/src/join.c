#include "part.h"
#include <stdlib.h>
#include <string.h>

char *join(const char *first, const char *second) {
    char *text = malloc(strlen(first) + strlen(second) + 2);
    strcpy(text, first);
    strcat(text, " ");
    return strcat(text, second);
}

void release(char *text) { free(text); }
