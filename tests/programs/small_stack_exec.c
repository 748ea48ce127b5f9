// Executes the program of its argument from a thread with the smallest stack there may be, in three ways, by its name and
// with an environment that has nothing of this one's.
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char *program;

static void await(pid_t child) {
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    char text[] = {'0' + WEXITSTATUS(status) % 10, '\n'};
    if (write(1, text, sizeof text) != sizeof text)
        abort();
}

static void *thread(void *argument) {
    char *list[] = {program, NULL};
    char *environment[] = {"NAME=value", NULL};
    pid_t child = -1;
    if (posix_spawnp(&child, program, NULL, NULL, list, environment))
        abort();
    await(child);
    child = fork();
    if (child == 0) {
        execvpe(program, list, environment);
        _exit(127);
    }
    await(child);
    child = vfork();
    if (child == 0) {
        execvpe(program, list, environment);
        _exit(127);
    }
    await(child);
    return argument;
}

int main(int count, char **args) {
    program = args[count - 1];
    pthread_attr_t attributes;
    pthread_t small;
    if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) ||
        pthread_create(&small, &attributes, thread, NULL))
        return 1;
    return pthread_join(small, NULL);
}
