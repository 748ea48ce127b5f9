// Signals that end a program, and what it can find out about them: `signals WAY [SIGNAL]`. Every way first keeps 7 blocks of 31
// bytes in work(); SIGNAL is a number, SIGTERM if missing.
#define _GNU_SOURCE
#include "keep.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern int __sigaction(int, const struct sigaction *, struct sigaction *);
extern sighandler_t bsd_signal(int, sighandler_t);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static const int asked[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};

FUNCTION void work(void) {
    for (int i = 0; i < 7; i++)
        keep(malloc(31));
    for (int i = 0; i < 5; i++)
        free(malloc(99));
}

static void check(int failed, const char *what) {
    if (failed) {
        perror(what);
        exit(99);
    }
}

static void nothing(int number) { (void)number; }

static void with_information(int number, siginfo_t *information, void *context) {
    (void)number, (void)information, (void)context;
}

static const char *name(sighandler_t handler) {
    return handler == SIG_DFL   ? "default"
           : handler == SIG_IGN ? "ignored"
           : handler == SIG_ERR ? "error"
           : handler == SIG_HOLD ? "held"
           : handler == nothing ? "nothing"
           : (void *)handler == (void *)with_information ? "with information" : "unknown";
}

static void print_action(const char *when, const struct sigaction *action) {
    unsigned long mask;
    memcpy(&mask, &action->sa_mask, sizeof mask);
    printf("  %s: %s, flags %x, mask %lx, restorer %s\n", when, name(action->sa_handler), (unsigned)action->sa_flags, mask,
           action->sa_restorer ? "set" : "none");
}

static void print(int number, const char *when) {
    struct sigaction action;
    memset(&action, 0xee, sizeof action);
    check(sigaction(number, NULL, &action), "sigaction");
    print_action(when, &action);
    check(__sigaction(number, NULL, &action), "__sigaction");
    print_action("by its second name", &action);
}

static void set(int number, sighandler_t handler, int flags, int masked) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    if (masked)
        sigaddset(&action.sa_mask, masked);
    memset(&old, 0xee, sizeof old);
    check(sigaction(number, &action, &old), "sigaction");
    print_action("was", &old);
    print(number, "is");
}

// Everything that a program can ask about the actions of signals, after everything that it can do to them.
static void print_actions(void) {
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        const int number = asked[i];
        printf("signal %d\n", number);
        print(number, "at the start");
        siginterrupt(number, 1);
        print(number, "interrupting");
        siginterrupt(number, 0);
        print(number, "not interrupting");
        set(number, SIG_DFL, 0, 0);
        set(number, SIG_DFL, SA_ONSTACK | SA_RESTART, SIGALRM);
        set(number, SIG_DFL, SA_SIGINFO | SA_NODEFER | SA_RESETHAND | SA_NOCLDSTOP, SIGTERM);
        set(number, nothing, SA_ONSTACK, SIGUSR2);
        set(number, SIG_DFL, SA_ONSTACK, SIGUSR2);
        siginterrupt(number, 1);
        print(number, "interrupting");
        set(number, SIG_IGN, 0, 0);
        set(number, SIG_DFL, 0, 0);
        struct sigaction same = {.sa_sigaction = with_information, .sa_flags = SA_SIGINFO};
        struct sigaction *volatile alias = &same;
        check(sigaction(number, &same, alias), "sigaction");
        print_action("into itself", &same);
        check(sigaction(number, &same, alias), "sigaction");
        print_action("and back", &same);
        sighandler_t (*const setters[])(int, sighandler_t) = {signal,      bsd_signal,    ssignal,
                                                              sysv_signal, __sysv_signal, sigset};
        for (unsigned j = 0; j < sizeof setters / sizeof *setters; j++) {
            const sighandler_t handlers[] = {SIG_DFL, nothing, SIG_DFL, SIG_DFL, SIG_IGN, SIG_DFL};
            for (unsigned k = 0; k < sizeof handlers / sizeof *handlers; k++) {
                printf("  setter %u: was %s\n", j, name(setters[j](number, handlers[k])));
                print(number, "is");
            }
        }
        printf("  hold: was %s\n", name(sigset(number, SIG_HOLD)));
        printf("  default: was %s\n", name(sigset(number, SIG_DFL)));
        sigignore(number);
        print(number, "after sigignore");
        printf("  signal: was %s\n", name(signal(number, SIG_DFL)));
    }
    errno = 0;
    printf("signal %d: %d, errno %d\n", 4711, sigaction(4711, NULL, &(struct sigaction){0}), errno);
    printf("SIGKILL: %s, errno %d\n", name(signal(SIGKILL, SIG_DFL)), errno);
    fflush(stdout);
}

static void await(pid_t child, const char *who) {
    int status = 0;
    check(child < 0 || waitpid(child, &status, 0) != child, who);
    printf("%s: status %x\n", who, (unsigned)status);
}

static void *send_to_itself(void *number) {
    raise((int)(long)number);
    return NULL;
}

static ucontext_t home, routine;
static volatile int number = SIGTERM;

static void in_a_coroutine(void) { raise(number); }

// A stack on which no signal handler has room, and an alternate one for those that ask for it.
static void on_a_small_stack(void) {
    static char alternate[64 * 1024];
    const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    check(sigaltstack(&stack, NULL), "sigaltstack");
    enum { PAGE = 4096, ROOM = 1024 };
    char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(memory == MAP_FAILED || mprotect(memory, PAGE, PROT_NONE), "a guarded page");
    raise(SIGURG); // so that the symbol is bound: that takes more stack than there is
    getcontext(&routine);
    routine.uc_stack.ss_sp = memory + PAGE;
    routine.uc_stack.ss_size = ROOM;
    routine.uc_link = &home;
    makecontext(&routine, in_a_coroutine, 0);
    swapcontext(&home, &routine);
}

static void blocked(void) {
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(number);
    sigpending(&pending);
    int taken = 0;
    sigwait(&set, &taken);
    printf("pending %d, waited for %d\n", sigismember(&pending, number), taken);
    int fd = signalfd(-1, &set, 0);
    raise(number);
    struct signalfd_siginfo information;
    check(read(fd, &information, sizeof information) != sizeof information, "signalfd");
    printf("read %u\n", information.ssi_signo);
    sigset_t none;
    sigemptyset(&none);
    raise(number);
    fflush(stdout);
    ppoll(NULL, 0, NULL, &none); // ends here
}

static void stop_gracefully(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "";
    if (count > 2)
        number = atoi(args[2]);
    work();
    if (!strcmp(way, "actions")) {
        print_actions();
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            print_actions();
            _exit(0);
        }
        await(child, "fork");
        fflush(stdout);
        child = vfork();
        if (child == 0) {
            struct sigaction action = {.sa_handler = SIG_IGN};
            sigaction(SIGTERM, &action, NULL);
            signal(SIGINT, SIG_DFL);
            signal(SIGHUP, nothing);
            _exit(0);
        }
        await(child, "vfork");
        for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++)
            print(asked[i], "after vfork");
        printf("system: %x\n", (unsigned)system("kill -INT $$"));
        print(SIGINT, "after system");
        return 0;
    }
    if (!strcmp(way, "raise"))
        raise(number);
    if (!strcmp(way, "thread")) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
        pthread_create(&thread, &attributes, send_to_itself, (void *)(long)number);
        pthread_join(thread, NULL);
    }
    if (!strcmp(way, "small stack"))
        on_a_small_stack();
    if (!strcmp(way, "blocked"))
        blocked();
    if (!strcmp(way, "graceful")) {
        signal(number, stop_gracefully);
        raise(number);
    }
    if (!strcmp(way, "once")) {
        struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESETHAND};
        sigaction(number, &action, NULL);
        raise(number);
        puts("once");
        fflush(stdout);
        raise(number);
    }
    if (!strcmp(way, "ignored")) {
        raise(number);
        puts("alive");
        return 0;
    }
    if (!strcmp(way, "vforked")) {
        pid_t child = vfork();
        if (child == 0) {
            kill(getpid(), number);
            _exit(0);
        }
        await(child, "vfork");
        return 0;
    }
    if (!strcmp(way, "forked")) {
        pid_t child = fork();
        if (child == 0) {
            work();
            kill(getpid(), number);
            _exit(0);
        }
        await(child, "fork");
        return 0;
    }
    // The first process of a namespace of its own goes on, and its calls are not interrupted.
    if (!strcmp(way, "first process")) {
        if (unshare(CLONE_NEWPID)) {
            puts("not allowed");
            return 0;
        }
        pid_t child = fork();
        if (child == 0) {
            for (unsigned i = 0; i < 3; i++)
                kill(getpid(), asked[i]);
            printf("process %d goes on\n", getpid());
            fflush(stdout);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                usleep(10000);
                kill(1, number);
                usleep(10000);
                _exit(0);
            }
            int status = 1;
            errno = 0;
            const int waited = waitpid(grandchild, &status, 0) == grandchild;
            printf("waited %d, status %x, errno %d\n", waited, (unsigned)status, errno);
            work();
            fflush(stdout);
            exit(3);
        }
        await(child, "first process");
        return 0;
    }
    return 2;
}
