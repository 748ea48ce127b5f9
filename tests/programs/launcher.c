// Executes the program of its second argument in the way its first names, and ends with that one's status.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void replace(const char *way, char *program) {
    char *args[] = {program, NULL};
    if (!strcmp(way, "execv"))
        execv(program, args);
    if (!strcmp(way, "execve"))
        execve(program, args, environ);
    if (!strcmp(way, "execvp"))
        execvp(program, args);
    if (!strcmp(way, "execvpe"))
        execvpe(program, args, environ);
    if (!strcmp(way, "execl"))
        execl(program, program, (char *)NULL);
    if (!strcmp(way, "execlp"))
        execlp(program, program, (char *)NULL);
    if (!strcmp(way, "execle"))
        execle(program, program, (char *)NULL, environ);
    if (!strcmp(way, "fexecve"))
        fexecve(open(program, O_PATH | O_CLOEXEC), args, environ);
#ifdef __GLIBC__
    if (!strcmp(way, "execveat")) {
        char *slash = strrchr(program, '/');
        *slash = 0;
        execveat(open(program, O_PATH | O_DIRECTORY), slash + 1, args, environ, 0);
    }
#endif
}

int main(int count, char **args) {
    if (count != 3)
        return 2;
    const char *way = args[1];
    char *program = args[2];
    char *list[] = {program, NULL};
    pid_t child = -1;
    if (!strcmp(way, "posix_spawn")) {
        if (posix_spawn(&child, program, NULL, NULL, list, environ))
            return 127;
    } else if (!strcmp(way, "posix_spawnp")) {
        if (posix_spawnp(&child, program, NULL, NULL, list, environ))
            return 127;
    } else if (!strcmp(way, "vfork")) {
        child = vfork();
        if (child == 0) {
            execve(program, list, environ);
            _exit(127);
        }
    } else {
        child = fork();
        if (child == 0) {
            replace(way, program);
            _exit(127);
        }
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
