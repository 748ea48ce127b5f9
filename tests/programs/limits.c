// Takes something away from itself, or lets go of it, in the way its first argument names; then does the same work whichever it was:
// keeps 7 blocks of 31 bytes, 50,000 of 24, and frees as many again. Prints "done" as the last thing and ends with 2.
#define _GNU_SOURCE
#include "keep.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 50000 };

static atomic_int over;

static void check(int done, const char *what) {
    if (!done) {
        perror(what);
        _exit(90);
    }
}

static void limit(int resource, rlim_t value) {
    const struct rlimit both = {value, value};
    check(!setrlimit(resource, &both), "setrlimit");
}

FUNCTION void work(void) {
    for (int i = 0; i < 7; i++)
        keep(malloc(31));
}

FUNCTION void grow(void) {
    for (int i = 0; i < MANY; i++) {
        keep(malloc(24));
        free(malloc(40));
    }
}

// Puts the descriptor of a file of one byte in the place of every number that is free.
static void dup_over(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    check(file >= 0 && write(file, "x", 1) == 1, path);
    for (int fd = 3; fd < 256; fd++)
        if (fd != file)
            check(dup2(file, fd) == fd, "dup2");
}

// Closes every descriptor but the standard ones, again and again.
static void *close_for_ever(void *argument) {
    while (!over)
        for (int fd = 3; fd < 64; fd++)
            close(fd);
    return argument;
}

static void *work_more(void *argument) {
    grow();
    return argument;
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "nothing", *place = count > 2 ? args[2] : "/";
    pthread_t closer = 0;
    if (!strcmp(way, "no descriptors")) {
        limit(RLIMIT_NOFILE, 3);
    } else if (!strcmp(way, "small files")) {
        limit(RLIMIT_FSIZE, 4096);
    } else if (!strcmp(way, "address space")) {
        limit(RLIMIT_AS, 512 << 20);
        void *large = malloc(200 << 20);
        check(large != NULL, "200 MiB of 512");
        free(large);
    } else if (!strcmp(way, "data")) {
        limit(RLIMIT_DATA, 64 << 20);
        void *large = malloc(32 << 20);
        check(large != NULL, "32 MiB of 64");
        free(large);
    } else if (!strcmp(way, "locked memory")) {
        check(!mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
    } else if (!strcmp(way, "close")) {
        close_range(3, ~0u, 0);
    } else if (!strcmp(way, "close all")) {
        close_range(0, ~0u, 0);
    } else if (!strcmp(way, "close for ever")) {
        check(!pthread_create(&closer, NULL, close_for_ever, NULL), "pthread_create");
        pthread_t other;
        check(!pthread_create(&other, NULL, work_more, NULL), "pthread_create");
        pthread_join(other, NULL);
    } else if (!strcmp(way, "dup over")) {
        dup_over(place);
    } else if (!strcmp(way, "chdir")) {
        check(!chdir(place), place);
    } else if (!strcmp(way, "chroot")) {
        check(!chroot(place) && !chdir("/"), place);
    } else if (!strcmp(way, "child in another root")) {
        int status = 0;
        if (!fork()) {
            check(!chroot(place) && !chdir("/"), place);
            work();
            _exit(5);
        }
        check(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 5, "the child");
    } else if (!strcmp(way, "other user")) {
        check(!setgid(65534) && !setuid(65534), "setuid");
    } else if (!strcmp(way, "child without descriptors")) {
        const struct rlimit three = {3, 64};
        check(!setrlimit(RLIMIT_NOFILE, &three), "setrlimit");
        int status = 0;
        if (!fork()) {
            work();
            _exit(5);
        }
        check(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 5, "the child");
    } else if (!strcmp(way, "memory")) {
        // Much of a small container's memory, and more events than a small ring holds.
        memset(malloc(36 << 20), 1, 36 << 20);
        for (int i = 0; i < 1000000; i++)
            free(malloc(40));
    } else if (!strcmp(way, "daemon")) {
        // The parent waits for the daemon by way of a pipe that it holds open, as its stdout is gone.
        int ends[2];
        check(!pipe(ends), "pipe");
        if (fork()) {
            close(ends[1]);
            char byte;
            while (read(ends[0], &byte, 1) > 0)
                ;
            _exit(0);
        }
        check(!daemon(0, 0), "daemon");
    }
    work();
    grow();
    if (closer) {
        over = 1;
        pthread_join(closer, NULL);
    }
    puts("done");
    return 2;
}
