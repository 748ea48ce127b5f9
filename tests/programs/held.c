// Holds blocks in known ways. The name of the function that allocates a block says by what it is held.
#define _GNU_SOURCE
#include "asleep.h"
#include "block.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct node {
    struct node *next;
    void *payload;
};

BLOCK(by_a_global, 101)
BLOCK(by_a_table, 102)
BLOCK(by_a_static_local, 103)
BLOCK(by_a_node, 104)
BLOCK(by_the_shorter_way, 105)
BLOCK(by_the_stack_of_main, 106)
BLOCK(by_the_stack_of_a_thread, 107)
BLOCK(by_a_mapping, 108)
BLOCK(by_three_words, 109)
BLOCK(by_its_inside, 110)
BLOCK(by_nothing, 111)
BLOCK(make_node, sizeof(struct node))
BLOCK(make_list, sizeof(struct node))

static void *volatile global;
static void *volatile table[16] = {(void *)1};
static struct node *volatile chain;
static struct node *volatile list;
static void *volatile shorter;
static void *volatile three_words[3];
static char *volatile inside;
static volatile int waiting;

FUNCTION void hold_by_a_static_local(void) {
    static void *volatile local;
    local = by_a_static_local();
    (void)local;
}

FUNCTION void lose(void) {
    void *volatile block = by_nothing();
    block = NULL;
    (void)block;
}

static void *waits(void *argument) {
    pthread_setname_np(pthread_self(), "holder");
    void *volatile local = by_the_stack_of_a_thread();
    waiting = gettid();
    for (;;)
        pause();
    local = argument;
    return local;
}

FUNCTION void overwrite(void) {
    char frame[16 * 1024];
    memset(frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

FUNCTION void hold(void) {
    global = by_a_global();
    table[7] = by_a_table();
    hold_by_a_static_local();
    // Three nodes, the last of which holds two blocks, one of which is also held by a global.
    for (int i = 0; i < 3; i++) {
        struct node *node = make_node();
        node->next = chain;
        if (i == 0) {
            node->payload = by_a_node();
            ((void **)node->payload)[1] = shorter = by_the_shorter_way();
        }
        chain = node;
    }
    for (int i = 0; i < 1000; i++) {
        struct node *node = make_list();
        node->next = list;
        list = node;
    }
    void **mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mapping[5] = by_a_mapping();
    three_words[0] = three_words[1] = three_words[2] = by_three_words();
    inside = (char *)by_its_inside() + 24;
    lose();
}

int main(void) {
    hold();
    void *volatile local = by_the_stack_of_main();
    pthread_t thread;
    pthread_create(&thread, NULL, waits, NULL);
    while (!waiting)
        usleep(1000);
    until_asleep(waiting);
    overwrite();
    exit(local == NULL);
}
