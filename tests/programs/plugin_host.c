// Loads the plugin loader from the path in its first argument and has it run each further argument's plugin, one after the
// other, so that later ones may come to lie where earlier ones were.
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **args) {
    void *loader = dlopen(args[1], RTLD_NOW);
    if (!loader) {
        puts(dlerror());
        return 1;
    }
    int (*load_and_run)(const char *) = (int (*)(const char *))dlsym(loader, "load_and_run");
    for (int i = 2; i < count; i++)
        if (load_and_run(args[i]))
            return 1;
    puts("all plugins ran");
    return 0;
}
