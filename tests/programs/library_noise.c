// What libraries hold on to for good, by the name of one: it is loaded and used once. With "leak" a block is lost that came from it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libintl.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *library;

static void *function(const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
    return found;
}

static void load(const char *name)
{
    library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
}

static void use_libc(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    bindtextdomain("noise", "/nowhere");
    textdomain("noise");
    puts(gettext("text"));
    time_t now = 0;
    printf("%d\n", localtime(&now)->tm_year);
    getpwuid(getuid());
}

static void use_glib(void)
{
    load("libgobject-2.0.so.0");
    unsigned (*quark)(const char *) = (unsigned (*)(const char *))function("g_quark_from_string");
    unsigned long (*boxed)(void) = (unsigned long (*)(void))function("g_strv_get_type");
    printf("%u %d\n", quark("noise of libraries"), boxed() != 0);
}

static void use_fontconfig(void)
{
    load("libfontconfig.so.1");
    int (*init)(void) = (int (*)(void))function("FcInit");
    void *(*current)(void) = (void *(*)(void))function("FcConfigGetCurrent");
    printf("%d\n", init() && current());
}

static void use_openssl(void)
{
    load("libcrypto.so.3");
    int (*status)(void) = (int (*)(void))function("RAND_status");
    printf("%d\n", status());
    fflush(stdout);
    // OpenSSL tidies up at exit; not before.
    _exit(0);
}

__attribute__((noinline)) static void leak_through_glib(void)
{
    load("libglib-2.0.so.0");
    void *(*make)(unsigned long) = (void *(*)(unsigned long))function("g_malloc");
    char *(*copy)(const char *) = (char *(*)(const char *))function("g_strdup");
    memset(make(4321), 1, 4321);
    copy("a copy that is lost");
}

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "libc";
    if (!strcmp(which, "libc"))
        use_libc();
    else if (!strcmp(which, "glib"))
        use_glib();
    else if (!strcmp(which, "fontconfig"))
        use_fontconfig();
    else if (!strcmp(which, "openssl"))
        use_openssl();
    else if (!strcmp(which, "leak"))
        leak_through_glib();
    return 0;
}
