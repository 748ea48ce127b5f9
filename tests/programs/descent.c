// Makes a child in the way its argument names, and waits for it. Before, it keeps 5 blocks of 40 bytes in early(), makes a first
// child that does nothing, and keeps 3 blocks of 50 bytes in later(); after, 2 of 16 in late(). The child frees one block of each
// and keeps 4 of 24 bytes in in_the_child(). With `clean` before the way, the child does nothing at all but end.
//
// Prints whether the parent's trace, whose path is the second argument with %d for the process id, is byte for byte what it was
// before the child: only for `clean` ones, or the parent could not tell its own doings from its child's.
#define _GNU_SOURCE
#include "keep.h"
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern pid_t _Fork(void);
static void *before[5], *between[3];
static char trace[4096];

FUNCTION void early(void) {
    for (int i = 0; i < 5; i++)
        before[i] = malloc(40);
}

FUNCTION void later(void) {
    for (int i = 0; i < 3; i++)
        between[i] = malloc(50);
}

FUNCTION void late(void) {
    for (int i = 0; i < 2; i++)
        keep(malloc(16));
}

FUNCTION int in_the_child(void) {
    free(before[0]);
    free(between[0]);
    for (int i = 0; i < 4; i++)
        keep(malloc(24));
    return 9;
}

static int body(void *unused) {
    (void)unused;
    exit(in_the_child());
}

// What the trace holds, in a word (FNV-1a); by calls that are not recorded.
static uint64_t checksum(void) {
    static unsigned char bytes[1 << 16];
    uint64_t sum = 14695981039346656037ull;
    int fd = open(trace, O_RDONLY);
    if (fd < 0)
        return 0;
    for (int piece = 0; piece < 64; piece++) {
        ssize_t length = pread(fd, bytes, sizeof bytes, (off_t)piece * (off_t)sizeof bytes);
        for (ssize_t i = 0; i < length; i++)
            sum = (sum ^ bytes[i]) * 1099511628211ull;
    }
    close(fd);
    return sum;
}

static int await(pid_t child) {
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("waitpid");
        exit(99);
    }
    return status;
}

static void child_of(pid_t child) {
    if (child == 0)
        exit(in_the_child());
    printf("child: %x\n", (unsigned)await(child));
}

// Ways by which the child ends at once, without a trace of its own.
static int clean(const char *way, char **args) {
    char *arguments[] = {"true", NULL}, *nothing[] = {NULL};
    const uint64_t sum = checksum();
    pid_t child = -1;
    if (!strcmp(way, "_exit") && (child = fork()) == 0)
        _exit(7);
    if (!strcmp(way, "SIGKILL") && (child = fork()) == 0)
        kill(getpid(), SIGKILL);
    if (!strcmp(way, "SIGTERM") && (child = fork()) == 0)
        kill(getpid(), SIGTERM);
    if (!strcmp(way, "exec") && (child = fork()) == 0)
        _exit(execv("/bin/true", arguments));
    if (!strcmp(way, "failed exec") && (child = fork()) == 0)
        _exit(execve("/no/such/program", arguments, nothing) + 8);
    if (!strcmp(way, "malloc") && (child = fork()) == 0)
        exit(in_the_child());
    if (!strcmp(way, "vfork") && (child = vfork()) == 0)
        _exit(7);
    if (!strcmp(way, "vfork and exec") && (child = vfork()) == 0)
        _exit(execve("/bin/true", arguments, nothing));
    if (!strcmp(way, "raw clone") && (child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0)
        _exit(7);
    if (!strcmp(way, "raw exit") && (child = fork()) == 0)
        syscall(SYS_exit_group, 7);
    if (!strcmp(way, "posix_spawn"))
        errno = posix_spawn(&child, "/bin/true", NULL, NULL, arguments, args);
    const int status = await(child);
    const uint64_t now = checksum();
    printf("child: %x, trace %s\n", (unsigned)status, sum == now ? "untouched" : "changed");
    return 0;
}

int main(int count, char **args) {
    if (count < 3)
        return 2;
    const char *way = args[1];
    snprintf(trace, sizeof trace, args[2], (int)getpid());
    early();
    if (await(fork() ?: (_exit(0), 0)))
        return 1;
    later();
    if (!strncmp(way, "clean ", 6)) {
        // Whatever is allocated on the way has been allocated before.
        puts("clean");
        fflush(stdout);
        return clean(way + 6, environ);
    }
    fflush(stdout);
    if (!strcmp(way, "fork"))
        child_of(fork());
    if (!strcmp(way, "_Fork"))
        child_of(_Fork());
    if (!strcmp(way, "raw clone"))
        child_of((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (!strcmp(way, "clone")) {
        char *stack = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("child: %x\n", (unsigned)await(clone(body, stack + (1 << 16), SIGCHLD, NULL)));
        munmap(stack, 1 << 16);
    }
    if (!strcmp(way, "forkpty")) {
        int terminal = -1;
        child_of(forkpty(&terminal, NULL, NULL, NULL));
        close(terminal);
    }
    if (!strcmp(way, "daemon")) {
        if (daemon(1, 1))
            return 1;
        return in_the_child();
    }
    // The child between does nothing; what the parent takes meanwhile is nobody's inheritance.
    if (!strcmp(way, "silent double fork")) {
        int go[2];
        if (pipe(go))
            return 1;
        pid_t child = fork();
        if (child == 0) {
            char byte;
            if (read(go[0], &byte, 1) != 1)
                _exit(1);
            pid_t grandchild = fork();
            if (grandchild == 0)
                exit(in_the_child());
            int status = 0;
            waitpid(grandchild, &status, 0);
            _exit(status >> 8);
        }
        late();
        if (write(go[1], "", 1) != 1)
            return 1;
        return await(child) != 9 << 8;
    }
    if (!strcmp(way, "double fork")) {
        pid_t child = fork();
        if (child == 0) {
            child_of(fork());
            _exit(0);
        }
        printf("child: %x\n", (unsigned)await(child));
    }
    late();
    return 0;
}
