// Loads the libraries of its arguments until one cannot be loaded, and says how many could, and why no more.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **args) {
    int loaded = 0;
    while (loaded + 1 < count && dlopen(args[loaded + 1], RTLD_NOW))
        loaded++;
    const char *error = loaded + 1 < count ? dlerror() : NULL;
    printf("%d of %d: %s\n", loaded, count - 1, error ? strrchr(error, ':') : "all");
    return 0;
}
