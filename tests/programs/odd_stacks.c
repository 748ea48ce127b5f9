// Allocates where stacks are not what they mostly are: `odd_stacks WAY`. Each way leaks blocks of one size, and no others.
//   coroutine         3 × 1001 bytes, from one function on two stacks of its own that take turns
//   alternate stack   1 × 1002 bytes, in a signal handler on an alternate stack
//   recursion         1 × 1003 bytes, 100,000 frames deep
//   generated         2 × 1004 bytes, called from generated code: with a frame pointer, and without
//   small stack       1 × 1005 bytes, on a thread with the smallest stack there may be
#define _GNU_SOURCE
#include "keep.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK = 256 * 1024, DEPTH = 100000 };

static ucontext_t home, first, second;

FUNCTION void leak(size_t size) { keep(malloc(size)); }

static void first_coroutine(void) {
    leak(1001);
    swapcontext(&first, &second);
    leak(1001);
}

static void second_coroutine(void) {
    leak(1001);
    swapcontext(&second, &first);
}

static void prepare(ucontext_t *context, char *stack, void (*body)(void)) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK;
    context->uc_link = &home;
    makecontext(context, body, 0);
}

FUNCTION int coroutine(void) {
    static char stacks[2][STACK];
    prepare(&first, stacks[0], first_coroutine);
    prepare(&second, stacks[1], second_coroutine);
    return swapcontext(&home, &first);
}

static void handler(int number) {
    if (number == SIGUSR1)
        leak(1002);
}

FUNCTION int alternate_stack(void) {
    static char memory[STACK];
    stack_t stack = {.ss_sp = memory, .ss_size = STACK};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    return sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &action, NULL) || raise(SIGUSR1);
}

FUNCTION void recurse(int depth) {
    if (depth > 0)
        recurse(depth - 1);
    else
        leak(1003);
    keep(&depth);
}

static void *deep(void *unused) {
    recurse(DEPTH);
    return unused;
}

static void *shallow(void *unused) {
    leak(1005);
    return unused;
}

static int on_stack_of(size_t size, void *(*body)(void *)) {
    pthread_t thread;
    pthread_attr_t attributes;
    return pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, size) ||
           pthread_create(&thread, &attributes, body, NULL) || pthread_join(thread, NULL);
}

// A copy of machine code somewhere that no table tells anything about.
static void call(const unsigned char *code, size_t length) {
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(memory, code, length);
    mprotect(memory, 4096, PROT_READ | PROT_EXEC);
    ((void (*)(void (*)(size_t), size_t))memory)(leak, 1004);
    munmap(memory, 4096);
}

FUNCTION int generated(void) {
#ifdef __x86_64__
    // push rbp; mov rbp, rsp; mov rax, rdi; mov rdi, rsi; call rax; pop rbp; ret
    static const unsigned char with[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3};
    // sub rsp, 24; mov rax, rdi; mov rdi, rsi; call rax; add rsp, 24; ret
    static const unsigned char without[] = {0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0xf8, 0x48, 0x89,
                                            0xf7, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x18, 0xc3};
    call(with, sizeof with);
    call(without, sizeof without);
#endif
    return 0;
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "";
    if (!strcmp(way, "coroutine"))
        return coroutine();
    if (!strcmp(way, "alternate stack"))
        return alternate_stack();
    if (!strcmp(way, "recursion"))
        return on_stack_of((size_t)DEPTH * 128 + STACK, deep);
    if (!strcmp(way, "generated"))
        return generated();
    if (!strcmp(way, "small stack"))
        return on_stack_of(PTHREAD_STACK_MIN, shallow);
    return 2;
}
