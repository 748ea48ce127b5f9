// Says by LeakSanitizer's interface what is no leak: `annotated [off|check|recover|threads|many]`. The interface's functions are
// looked up weakly, as annotated programs do. The name of the function that allocates a block begins with its kind;
// `suppressed_…` is definite, but suppressed by the program. Prints what it is told of its leaks.
#define _GNU_SOURCE
#include "asleep.h"
#include "keep.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WEAK __attribute__((weak))

WEAK void __lsan_disable(void);
WEAK void __lsan_enable(void);
WEAK void __lsan_ignore_object(const void *block);
WEAK void __lsan_register_root_region(const void *start, size_t length);
WEAK void __lsan_unregister_root_region(const void *start, size_t length);
WEAK void __lsan_do_leak_check(void);
WEAK int __lsan_do_recoverable_leak_check(void);

static int is_off;

__attribute__((used)) const char *__lsan_default_suppressions(void) {
    return "# what is known\nleak:suppressed_by_*function\nleak:of_nothing_at_all\n";
}

__attribute__((used)) int __lsan_is_turned_off(void) { return is_off; }

#define BLOCK(name, size)                                                                                    \
    FUNCTION void *name(void) {                                                                              \
        void *block = calloc(1, size);                                                                       \
        __asm__ volatile("# " #name : "+r"(block) : : "memory");                                             \
        return block;                                                                                        \
    }

BLOCK(definite_before, 101)
BLOCK(definite_after, 102)
BLOCK(reachable_while_disabled, 103)
BLOCK(reachable_by_one_that_is_ignored, 104)
BLOCK(reachable_ignored, 105)
BLOCK(reachable_ignored_by_its_inside, 106)
BLOCK(reachable_by_a_root_region, 107)
BLOCK(possible_by_a_former_root_region, 108)
BLOCK(possible_region, 64)
BLOCK(possible_former_region, 64)
BLOCK(suppressed_by_its_function, 109)
BLOCK(definite_of_another_thread, 110)
BLOCK(reachable_of_another_thread, 111)

static char *volatile inside[2];

FUNCTION void lose(void) {
    void *volatile block = definite_before();
    if (__lsan_disable) {
        __lsan_disable();
        __lsan_disable();
        __lsan_enable();
        void **head = reachable_while_disabled();
        __lsan_enable();
        *head = reachable_by_one_that_is_ignored();
        head = NULL;
        block = reachable_ignored();
        __lsan_ignore_object(block);
        block = reachable_ignored_by_its_inside();
        __lsan_ignore_object((char *)block + 50);
    }
    block = definite_after();
    block = suppressed_by_its_function();
    block = NULL;
    (void)block;
}

FUNCTION void regions(void) {
    if (!__lsan_register_root_region)
        return;
    void **region = possible_region();
    region[1] = reachable_by_a_root_region();
    __lsan_register_root_region(region, 8 * sizeof *region);
    void **former = possible_former_region();
    former[1] = possible_by_a_former_root_region();
    __lsan_register_root_region(former, 8 * sizeof *former);
    __lsan_unregister_root_region(former, 8 * sizeof *former);
    inside[0] = (char *)region + 8;
    inside[1] = (char *)former + 8;
}

FUNCTION void overwrite(void) {
    char frame[4096];
    memset(frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static volatile int stop;
static volatile int waiting;

static void *works(void *nothing) {
    void *volatile held = reachable_of_another_thread();
    while (!stop)
        free(malloc(10));
    return held == NULL ? nothing : NULL;
}

// Of a thread that runs the whole stack counts; of this one it is known how far it has come.
static void *waits(void *nothing) {
    keep(definite_of_another_thread());
    keep(NULL);
    waiting = gettid();
    for (;;)
        pause();
    return nothing;
}

int main(int count, char **args) {
    const char *way = count > 1 ? args[1] : "";
    is_off = !strcmp(way, "off");
    if (!strcmp(way, "many")) {
        for (int i = 0; i < 100000; i++) {
            void *block = malloc(24);
            if (__lsan_ignore_object)
                __lsan_ignore_object(block);
            keep(NULL);
        }
    }
    pthread_t thread, other;
    if (!strcmp(way, "threads")) {
        pthread_create(&thread, NULL, works, NULL);
        pthread_create(&other, NULL, waits, NULL);
    }
    if (!strcmp(way, "recover"))
        printf("before: %d\n", __lsan_do_recoverable_leak_check());
    lose();
    regions();
    overwrite();
    if (!strcmp(way, "threads")) {
        while (!waiting)
            usleep(1000);
        until_asleep(waiting);
    }
    if (!strcmp(way, "recover") || !strcmp(way, "threads"))
        printf("after: %d\n", __lsan_do_recoverable_leak_check());
    if (!strcmp(way, "check") || !strcmp(way, "threads")) {
        __lsan_do_leak_check();
        // From here on nothing is looked at any more.
        definite_after();
    }
    if (!strcmp(way, "threads")) {
        stop = 1;
        pthread_join(thread, NULL);
    }
    fflush(stdout);
    return 0;
}
