// Blocks that the C library allocates inside functions of its own: they belong to the caller of those.
#define _GNU_SOURCE
#include "keep.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

FUNCTION void by_strdup(void) {
    keep(strdup("nineteen characters")); // leak: 1 block, 20 bytes by malloc in by_strdup
    keep(strndup("nineteen characters", 8)); // leak: 1 block, 9 bytes by malloc in by_strdup
    keep(wcsdup(L"wide")); // leak: 1 block, 20 bytes by malloc in by_strdup
}

FUNCTION void by_getline(FILE *file) {
    char *line = NULL;
    size_t size = 0;
    if (getline(&line, &size, file) < 0) // leak: 1 block, 120 bytes by malloc in by_getline
        abort();
    keep(line);
}

FUNCTION void by_asprintf(void) {
    char *text = NULL;
    if (asprintf(&text, "%s-%d", "number", 42) < 0) // leak: 1 block, 10 bytes by malloc in by_asprintf
        abort();
    keep(text);
}

FUNCTION FILE *by_fopen(void) {
    FILE *file = fopen("/proc/self/status", "r"); // leak: 1 block, 472 bytes by malloc in by_fopen
    if (!file)
        abort();
    setvbuf(file, NULL, _IONBF, 0);
    return file;
}

FUNCTION void by_realpath(void) {
    // Allocated with PATH_MAX, then shrunk or not, by version: freed here, and what counts is that it is known.
    free(realpath("/usr/../usr", NULL));
}

int main(void) {
    by_strdup();
    by_getline(by_fopen());
    by_asprintf();
    by_realpath();
    return 0;
}
