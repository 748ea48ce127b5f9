// Says whether libleak.so is loaded and whether it has rights that its user has not, keeps 7 blocks of 31 bytes, and ends with 3.
#define _GNU_SOURCE
#include "keep.h"
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

static int is_libleak(struct dl_phdr_info *info, size_t size, void *found) {
    (void)size;
    *(int *)found |= strstr(info->dlpi_name, "libleak.so") != NULL;
    return 0;
}

FUNCTION void work(void) {
    for (int i = 0; i < 7; i++)
        keep(malloc(31));
}

int main(void) {
    int found = 0;
    dl_iterate_phdr(is_libleak, &found);
    printf("%s, %s\n", found ? "libleak" : "no libleak", getauxval(AT_SECURE) ? "secure" : "ordinary");
    work();
    return 3;
}
