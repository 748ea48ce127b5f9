// Forks in a signal handler, wherever the program just is: 100 times, by a timer, while main allocates and frees. Parent and
// child both return from the handler and go on. A child takes 200 steps more, prints how many of the blocks it has taken itself are
// live, and ends with 7. In the parent none are, at the end.
#define _GNU_SOURCE
#include "keep.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 100, STEPS = 200, SLOTS = 64 };

static volatile sig_atomic_t forks, steps_left = -1;
static void *slots[SLOTS];
static int is_own[SLOTS], own;

static void on_alarm(int number) {
    (void)number;
    if (forks >= FORKS || steps_left >= 0)
        return;
    forks++;
    pid_t child = fork();
    if (child < 0)
        _exit(1);
    if (child == 0)
        steps_left = STEPS;
}

// One of the slots gets a block, or loses it.
FUNCTION void step(unsigned number) {
    const unsigned slot = number % SLOTS;
    if (number / SLOTS % 2 == 0) {
        is_own[slot] = steps_left >= 0;
        own += is_own[slot];
        slots[slot] = malloc(100 + slot);
    } else {
        own -= is_own[slot];
        free(slots[slot]);
        slots[slot] = NULL;
    }
}

int main(void) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval often = {{0, 700}, {0, 700}}, never = {0};
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned number = 0; forks < FORKS || steps_left >= 0 || number % (2 * SLOTS); number++) {
        step(number);
        if (steps_left >= 0 && steps_left-- == 0) {
            dprintf(1, "%d %d\n", (int)getpid(), own);
            _exit(7);
        }
    }
    setitimer(ITIMER_REAL, &never, NULL);
    for (int i = 0; i < FORKS; i++) {
        int status = 0;
        if (wait(&status) < 0 || status != 7 << 8) {
            printf("child: %x\n", (unsigned)status);
            return 1;
        }
    }
    return 0;
}
