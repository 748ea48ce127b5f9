// What all fixtures share: `keep` makes a block escape, so that no compiler drops its allocation.
#pragma once

#ifdef __cplusplus
#define KEEP_UNUSED [[maybe_unused]]
#else
#define KEEP_UNUSED __attribute__((unused))
#endif

// A function that stays a function of its own, with a frame of its own.
#define FUNCTION __attribute__((noinline, noclone)) static

static void *volatile kept;

KEEP_UNUSED FUNCTION void keep(void *block) { kept = block; }

// A number the compiler cannot see through.
KEEP_UNUSED FUNCTION unsigned long opaque(unsigned long number) {
    volatile unsigned long hidden = number;
    return hidden;
}
