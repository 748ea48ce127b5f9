// A library with a RUNPATH of its own ($ORIGIN/plugins): loads a plugin by a name that only this RUNPATH resolves, runs
// it, and unloads it.
#include <dlfcn.h>
#include <stdio.h>

int load_and_run(const char *name) {
    void *plugin = dlopen(name, RTLD_NOW);
    if (!plugin) {
        puts(dlerror());
        return 1;
    }
    void (*run)(void) = (void (*)(void))dlsym(plugin, "plugin_run");
    run();
    return dlclose(plugin);
}
