// Two threads allocate without pause, and two timers' handlers allocate in the middle of it, each of which may interrupt the other:
// 20,000 handlers a thread. To be run with an allocator that can be interrupted by itself. Prints what is live at the end, blocks and
// bytes: of work(), of in_the_handler(), then how often each has allocated. With an argument handlers leave by longjmp; work's
// numbers are not known then, as it may have been anywhere.
#define _GNU_SOURCE
#include "keep.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 2, HANDLERS = 20000, SLOTS = 16, OFTEN = 40000 };

// Atomic, as one handler may come in the middle of another one's addition.
static _Thread_local atomic_long handlers, keeps, worked;
static _Thread_local void *slots[SLOTS];
static _Thread_local jmp_buf home;
static int jump;
static long total_kept, total_handlers, total_worked, total_live;

// Of three blocks the handler frees two, one of them grown.
static void in_the_handler(int number) {
    if (handlers >= HANDLERS)
        return;
    handlers++;
    keep(malloc(24));
    keeps++;
    free(malloc(25));
    free(realloc(malloc(26), 27));
    if (jump && number == SIGUSR1)
        longjmp(home, 1);
}

FUNCTION void work(unsigned step) {
    void **slot = &slots[step % SLOTS];
    switch (step / SLOTS % 4) {
    case 0:
        *slot = malloc(100);
        worked++;
        break;
    case 1:
        *slot = realloc(*slot, 200);
        worked++;
        break;
    case 2:
        free(*slot);
        *slot = calloc(3, 100);
        worked++;
        break;
    default:
        free(*slot);
        *slot = NULL;
    }
}

// From depths that take turns: with those who leave, what libleak keeps of stacks is always half stored, and hooks that did not
// come to their end look as if they were under way.
FUNCTION void work_below(unsigned step, unsigned depth) {
    if (depth)
        work_below(step, depth - 1);
    else
        work(step);
    __asm__ volatile("");
}

static timer_t start_timer(int number) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    const struct itimerspec often = {{0, OFTEN}, {0, OFTEN + number}};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, NULL))
        abort();
    return timer;
}

static void *run(void *unused) {
    static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
    static _Thread_local volatile unsigned step;
    static _Thread_local timer_t timers[2];
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    // The first handler may come before its timer's start has returned.
    pthread_sigmask(SIG_BLOCK, &both, NULL);
    if (!setjmp(home)) {
        timers[0] = start_timer(SIGUSR1);
        timers[1] = start_timer(SIGUSR2);
    }
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
    while (handlers < HANDLERS || (!jump && step % (4 * SLOTS) != SLOTS + 5)) {
        const unsigned now = step;
        step = now + 1;
        if (jump && now % 64 == 0)
            slots[0] = slots[1] = NULL;
        work_below(jump ? (now % SLOTS) : now, jump ? now % 5 : 0);
    }
    for (int i = 0; i < 2; i++)
        timer_delete(timers[i]);
    pthread_mutex_lock(&adding);
    total_handlers += handlers;
    total_kept += keeps;
    total_worked += worked;
    for (int i = 0; i < SLOTS; i++)
        total_live += slots[i] != NULL;
    pthread_mutex_unlock(&adding);
    return unused;
}

FUNCTION void afterwards(void) {
    for (int i = 0; i < 10; i++)
        keep(malloc(77));
    for (int i = 0; i < 10; i++)
        free(malloc(78));
}

int main(int count, char **args) {
    (void)args;
    jump = count > 1;
    struct sigaction action = {.sa_handler = in_the_handler, .sa_flags = SA_RESTART};
    // Who leaves must not leave another one behind.
    if (jump)
        sigaddset(&action.sa_mask, SIGUSR1), sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    afterwards();
    printf("%ld %ld %ld %ld\n", total_live, total_kept, total_worked, total_handlers * 4);
    return 0;
}
