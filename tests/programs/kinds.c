// Blocks of every kind. The name of the function that allocates a block begins with its kind at the end of the program.
#define _GNU_SOURCE
#include "block.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Variables that the compiler cannot do without.
static void *volatile global;
static void *volatile chain;
static void *volatile inside;
static void *volatile tagged;
static void *volatile past_the_end;
static void *volatile both[2];
static void *volatile interior_list;
static void *volatile lengths;
static void *volatile characters;
static void *volatile elements;
static void *volatile mapped_page;
static _Thread_local void *volatile thread_local_variable;
static void *volatile initialised = "initialised";

BLOCK(reachable_by_a_global, 11)
BLOCK(reachable_head, 24)
BLOCK(reachable_through_another, 25)
BLOCK(reachable_by_initialised_data, 26)
BLOCK(reachable_by_thread_local_storage, 27)
BLOCK(reachable_by_a_mapping, 28)
BLOCK(reachable_by_its_start_as_well, 29)
BLOCK(reachable_as_its_length_stands_before, 48)
BLOCK(reachable_as_a_string, 3 * 8 + 20 + 1)
BLOCK(reachable_as_an_array, 8 + 5 * 12)
BLOCK(reachable_of_no_bytes, 0)
BLOCK(possible_by_its_inside, 100)
BLOCK(possible_by_a_tagged_pointer, 64)
BLOCK(possible_through_a_possible, 65)
BLOCK(definite_alone, 31)
BLOCK(definite_by_one_past_its_end, 64)
BLOCK(definite_by_what_was_freed, 33)
BLOCK(definite_head, 16)
BLOCK(indirect_next, 17)
BLOCK(indirect_last, 18)
BLOCK(definite_with_inside_pointer, 19)
BLOCK(indirect_by_its_inside, 80)
BLOCK(definite_in_a_cycle, 21)
BLOCK(indirect_in_a_cycle, 22)
BLOCK(definite_that_points_to_itself, 23)
BLOCK(definite_before_a_cycle, 40)
BLOCK(indirect_cycle_a, 41)
BLOCK(indirect_cycle_b, 42)
BLOCK(definite_owner_a, 43)
BLOCK(definite_owner_b, 44)
BLOCK(indirect_shared, 45)
BLOCK(definite_of_no_bytes, 0)
BLOCK(definite_misaligned, 46)
static void *volatile unaligned[2];
static void *volatile no_bytes;

static void point(void *from, void *to) { *(void *volatile *)from = to; }

FUNCTION void work(void) {
    global = reachable_by_a_global();
    void *block = reachable_head();
    chain = block;
    point(block, reachable_through_another());
    initialised = reachable_by_initialised_data();
    thread_local_variable = reachable_by_thread_local_storage();
    mapped_page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    point((char *)mapped_page + 4096, reachable_by_a_mapping());
    no_bytes = reachable_of_no_bytes();

    inside = (char *)possible_by_its_inside() + 56;
    tagged = (void *)((uintptr_t)possible_by_a_tagged_pointer() | 1);
    block = possible_by_its_inside();
    interior_list = (char *)block + 40;
    point(block, possible_through_a_possible());
    both[0] = reachable_by_its_start_as_well();
    both[1] = (char *)both[0] + 16;

    uint64_t *length = reachable_as_its_length_stands_before();
    *length = 40;
    lengths = length + 1;
    uint64_t *string = reachable_as_a_string();
    string[0] = 7, string[1] = 20;
    characters = string + 3;
    uint64_t *array = reachable_as_an_array();
    *array = 5;
    elements = array + 1;

    definite_alone();
    definite_of_no_bytes();
    past_the_end = (char *)definite_by_one_past_its_end() + 64;
    void **holder = malloc(64);
    point(holder + 4, definite_by_what_was_freed());
    free(holder);
    void *head = definite_head(), *next = indirect_next();
    point(head, next);
    point(next, indirect_last());
    point(definite_with_inside_pointer(), (char *)indirect_by_its_inside() + 24);
    head = definite_in_a_cycle(), next = indirect_in_a_cycle();
    point(head, next);
    point(next, head);
    block = definite_that_points_to_itself();
    point(block, block);
    void *before = definite_before_a_cycle();
    head = indirect_cycle_a(), next = indirect_cycle_b();
    point(head, next);
    point(next, head);
    point(before, next);
    head = definite_owner_a(), next = definite_owner_b();
    block = indirect_shared();
    point(head, block);
    point(next, block);
    // Only aligned words are pointers.
    block = definite_misaligned();
    memcpy((char *)unaligned + 3, &block, sizeof block);
}

int main(void) {
    work();
    return 0;
}
