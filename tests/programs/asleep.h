// Waits for another thread to wait.
#pragma once
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

// Returns once the thread waits in a system call (or if /proc does not tell).
__attribute__((unused)) static void until_asleep(int tid) {
    char path[64], text[8] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    do {
        usleep(1000);
        int file = open(path, O_RDONLY);
        if (file < 0 || read(file, text, 7) <= 0)
            return;
        close(file);
    } while (text[0] == 'r');
}
