// Confines itself with seccomp in the way its first argument names, so that any system call but those allowed kills it; then keeps 7
// blocks of 31 bytes and 50,000 of 24, frees as many again, says "done", and ends with 2.
#define _GNU_SOURCE
#include "keep.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// What this program itself needs.
static const int narrow[] = {SYS_brk, SYS_mmap, SYS_munmap, SYS_write, SYS_exit_group};
// What the allow lists of servers have besides.
static const int usual[] = {SYS_brk,    SYS_mmap,  SYS_munmap, SYS_write,  SYS_exit_group,     SYS_mprotect,
                            SYS_madvise, SYS_futex, SYS_getpid, SYS_gettid, SYS_rt_sigprocmask, SYS_clock_gettime};

// What it takes to die of a signal.
static const int ending[] = {SYS_brk, SYS_mmap, SYS_munmap, SYS_write, SYS_tgkill, SYS_getpid, SYS_gettid, SYS_rt_sigprocmask};

static void install(const int *allowed, unsigned count, int by_syscall) {
    struct sock_filter code[64];
    unsigned length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < count; i++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog program = {(unsigned short)length, code};
    long done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!done)
        done = by_syscall ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
                          : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    if (done)
        _exit(90);
}

FUNCTION void work(void) {
    for (int i = 0; i < 7; i++)
        keep(malloc(31));
}

FUNCTION void grow(void) {
    for (int i = 0; i < 50000; i++) {
        keep(malloc(24));
        free(malloc(40));
    }
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "";
    // The allocator's first call asks for random numbers.
    free(malloc(1));
    // A filter that the kernel refuses changes nothing.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == 0)
        return 91;
    if (!strcmp(way, "narrow"))
        install(narrow, sizeof narrow / sizeof *narrow, 0);
    else if (!strcmp(way, "usual"))
        install(usual, sizeof usual / sizeof *usual, 1);
    else if (!strcmp(way, "ending"))
        install(ending, sizeof ending / sizeof *ending, 0);
    else if (!strcmp(way, "strict")) {
        // Memory ahead: the allocator may not ask for more either.
        mallopt(M_TOP_PAD, 64 << 20);
        mallopt(M_TRIM_THRESHOLD, 128 << 20);
        void *first = malloc(100000), *second = malloc(100000);
        free(first);
        free(second);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))
            return 90;
    }
    work();
    grow();
    if (write(1, "done\n", 5) != 5)
        return 92;
    if (!strcmp(way, "ending"))
        raise(SIGTERM);
    if (!strcmp(way, "strict"))
        syscall(SYS_exit, 2);
    _exit(2);
}
