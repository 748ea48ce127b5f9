// A process and its children. The parent keeps 5 blocks of 40 bytes before, and 2 of 16 bytes after, it has made a child in
// the way its argument names. A forked child frees one block it inherited and keeps 3 of 24 bytes of its own.
#define _GNU_SOURCE
#include "keep.h"
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static void *before[5];

FUNCTION void early(void) {
    for (int i = 0; i < 5; i++)
        before[i] = malloc(40);
}

FUNCTION void in_the_child(void) {
    free(before[0]);
    for (int i = 0; i < 3; i++)
        keep(malloc(24));
}

FUNCTION void late(void) {
    for (int i = 0; i < 2; i++)
        keep(malloc(16));
}

FUNCTION void await(pid_t child, int expected) {
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != expected)
        abort();
}

FUNCTION pid_t spawned(char *program) {
    pid_t child = -1;
    char *args[] = {program, "be a child", NULL};
    if (posix_spawn(&child, program, NULL, NULL, args, environ))
        abort();
    return child;
}

FUNCTION pid_t vforked(char *program) {
    pid_t child = vfork();
    if (child == 0) {
        if (program)
            execl(program, program, "be a child", (char *)NULL);
        _exit(9);
    }
    return child;
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "fork";
    early();
    if (!strcmp(way, "be a child")) {
        in_the_child();
        return 9;
    }
    if (!strcmp(way, "fork")) {
        pid_t child = fork();
        if (child == 0) {
            in_the_child();
            exit(9);
        }
        await(child, 9);
    } else if (!strcmp(way, "vfork")) {
        await(vforked(NULL), 9);
    } else if (!strcmp(way, "vfork and exec")) {
        await(vforked(args[0]), 9);
    } else if (!strcmp(way, "posix_spawn")) {
        await(spawned(args[0]), 9);
    } else if (!strcmp(way, "system")) {
        if (system("exit 9") != 9 << 8)
            abort();
    } else {
        return 2;
    }
    late();
    return 0;
}
