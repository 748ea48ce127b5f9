// Patterns that thresholds were chosen with, in C. Those that results are reported of are in reporting_*.
#include "sim.h"

PATTERN leak_forgotten(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) memset(malloc(some_size(s)), 1, 1);
}

PATTERN leak_one_in_many(struct sim *s) {
    for (long n = arrivals_of(s, s->rate * 10); n > 0; n--) {
        void *block = malloc(s->size);
        if (!chance(s, 0.005)) later(s, block, exponential(s, s->life / 4));
    }
}

PATTERN leak_error_path(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        char *buffer = (char *)malloc(some_size(s));
        buffer[0] = 1;
        if (chance(s, 0.05)) continue; // return without free
        free(buffer);
    }
}

PATTERN leak_listener(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 4); n > 0; n--) {
        void **node = (void **)calloc(1, 16 + s->size);
        *node = s->data;
        s->data = node;
    }
}

PATTERN leak_late(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        void *block = malloc(some_size(s));
        if (s->now < 0.2 + s->warm / 2 || chance(s, 0.8)) later(s, block, s->life * uniform(s));
    }
}

PATTERN leak_bursts(struct sim *s) {
    if (s->now < s->warm + (double)s->count * 0.05) return;
    s->count++;
    for (int i = 0; i < 20; i++) memset(malloc(some_size(s)), 1, 1);
}

PATTERN leak_overwritten(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        if (chance(s, 0.7)) free(s->data);
        s->data = malloc(some_size(s));
    }
}

static void release_outer(void *outer) { free(outer); } // and not what it points to

HELPER void *clean_outer(struct sim *s) { return malloc(32 + s->size / 8); }

PATTERN leak_inner(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        void **outer = (void **)clean_outer(s);
        *outer = malloc(some_size(s));
        later_by(s, outer, exponential(s, s->life), release_outer);
    }
}

PATTERN leak_behind_cache(struct sim *s) {
    // A cache that fills first, and from then on loses something at every other miss.
    double every = s->now < s->warm ? 1 : 0.1;
    for (long n = arrivals_of(s, s->rate * every); n > 0; n--) memset(malloc(some_size(s)), 1, 1);
}

PATTERN grow_vector(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        if (s->count >= (long)(size_t)s->more) {
            s->more = (void *)(s->more ? (size_t)s->more * 2 : 64);
            s->data = realloc(s->data, (size_t)s->more * 16);
        }
        ((char *)s->data)[s->count++] = 1;
    }
}

PATTERN grow_log(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 4); n > 0; n--) {
        s->count += (long)some_size(s);
        s->data = realloc(s->data, (size_t)s->count);
    }
}

PATTERN clean_request(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) free(malloc(some_size(s)));
}

PATTERN clean_session(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) later(s, malloc(some_size(s)), exponential(s, s->life));
}

PATTERN clean_heavy_tail(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) later(s, malloc(some_size(s)), pareto(s, s->life / 8, 1.2));
}

PATTERN clean_lru(struct sim *s) {
    // The oldest goes when the cache is full, which it is when warm-up is over.
    long room = (long)(s->rate * s->warm) + 1;
    if (!s->data) s->data = calloc((size_t)room, sizeof(void *));
    void **ring = (void **)s->data;
    for (long n = arrivals(s); n > 0; n--, s->count++) {
        free(ring[s->count % room]);
        ring[s->count % room] = malloc(some_size(s));
    }
}

PATTERN clean_ttl(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) later(s, malloc(some_size(s)), s->warm);
}

PATTERN clean_lazy_table(struct sim *s) {
    // Keys are all alike: after warm-up one in twenty has not been asked for yet.
    long keys = (long)(s->rate * s->warm / 3) + 1;
    if (!s->data) s->data = calloc((size_t)keys, sizeof(void *));
    void **table = (void **)s->data;
    for (long n = arrivals(s); n > 0; n--) {
        long key = (long)(uniform(s) * (double)keys);
        if (!table[key]) table[key] = malloc(some_size(s));
    }
}

PATTERN clean_sawtooth(struct sim *s) {
    double period = 0.02 + s->life * 2;
    for (long n = arrivals(s); n > 0; n--) {
        void **node = (void **)malloc(16 + s->size);
        *node = s->data;
        s->data = node;
    }
    if (s->now < (double)(s->count + 1) * period) return;
    s->count++;
    while (s->data) {
        void *next = *(void **)s->data;
        free(s->data);
        s->data = next;
    }
}

PATTERN clean_pool(struct sim *s) {
    // Objects in use vary; those that are not in use stay in the pool.
    long wanted = (long)(s->rate * s->life * (1 + 0.5 * sin(s->now / s->life)) * s->load);
    for (; s->count < wanted; s->count++) {
        void **object = (void **)malloc(16 + s->size);
        *object = s->data;
        s->data = object;
    }
}

PATTERN clean_start_up(struct sim *s) {
    for (; s->count < (long)s->rate / 4; s->count++) memset(malloc(some_size(s)), 1, 1);
}

PATTERN clean_double_buffer(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        free(s->more);
        s->more = s->data;
        s->data = malloc(some_size(s) * 16);
    }
}

PATTERN clean_rehash(struct sim *s) {
    long fill = (long)(s->rate * fmin(s->now, s->warm)) + 16;
    if (fill > s->count) {
        s->count = s->count ? s->count * 2 : 64;
        s->data = realloc(s->data, (size_t)s->count * 64);
    }
}

PATTERN clean_random_replacement(struct sim *s) {
    long room = (long)(s->rate * s->warm / 2) + 1;
    if (!s->data) s->data = calloc((size_t)room, sizeof(void *));
    void **slots = (void **)s->data;
    for (long n = arrivals(s); n > 0; n--) {
        void **slot = &slots[(long)(uniform(s) * (double)room)];
        free(*slot);
        *slot = malloc(some_size(s));
    }
}

struct named patterns[] = {
    P(leak_forgotten), P(leak_one_in_many), P(leak_error_path), P(leak_listener), P(leak_late), P(leak_bursts),
    P(leak_overwritten), P(leak_inner), P(leak_behind_cache), P(grow_vector), P(grow_log),
    P(clean_request), P(clean_session), P(clean_heavy_tail), P(clean_lru), P(clean_ttl), P(clean_lazy_table),
    P(clean_sawtooth), P(clean_pool), P(clean_start_up), P(clean_double_buffer), P(clean_rehash),
    P(clean_random_replacement),
};
int pattern_count = sizeof patterns / sizeof *patterns;
