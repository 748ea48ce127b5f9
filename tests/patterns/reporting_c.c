// Patterns that results are reported of, in C. No threshold was chosen with them.
#include "sim.h"

// A connection that is closed, unless the peer just vanishes.
struct connection {
    void *in, *out;
    size_t sent;
};

HELPER void close_connection(void *c) {
    struct connection *connection = (struct connection *)c;
    free(connection->in);
    free(connection->out);
    free(connection);
}

PATTERN leak_half_open_connections(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        struct connection *c = (struct connection *)malloc(sizeof *c);
        c->in = malloc(s->size);
        c->out = malloc(some_size(s));
        if (!chance(s, 0.08)) later_by(s, c, pareto(s, s->life / 6, 1.6), close_connection);
    }
}

// Buffers of short-lived threads that no destructor was registered for.
static __thread char *scratch;

HELPER void *leak_buffer_of_dead_thread(void *size) {
    scratch = (char *)malloc((size_t)size);
    scratch[0] = 1;
    return NULL;
}

PATTERN short_lived_threads(struct sim *s) {
    for (long n = arrivals_of(s, 150); n > 0; n--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, leak_buffer_of_dead_thread, (void *)some_size(s)) == 0)
            pthread_join(thread, NULL);
    }
}

// A hash table whose removal forgets the value.
struct entry {
    long key;
    char *value;
    struct entry *next;
};

HELPER struct entry *clean_entry(void) { return (struct entry *)malloc(sizeof(struct entry)); }

PATTERN leak_value_of_removed_key(struct sim *s) {
    enum { BUCKETS = 256 };
    if (!s->data) s->data = calloc(BUCKETS, sizeof(struct entry *));
    struct entry **buckets = (struct entry **)s->data;
    // As many keys as make a value live as long as the parameter says.
    double keys = s->rate / 2 * s->life + 1;
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        long key = (long)(uniform(s) * keys);
        struct entry **place = &buckets[key % BUCKETS];
        while (*place && (*place)->key != key) place = &(*place)->next;
        if (*place) {
            struct entry *gone = *place;
            *place = gone->next;
            if (chance(s, 0.5)) free(gone->value);
            free(gone);
        } else {
            struct entry *entry = clean_entry();
            *entry = (struct entry){ key, (char *)malloc(some_size(s)), NULL };
            *place = entry;
        }
    }
}

// A tree that is pruned at the top: what hangs below is lost.
struct tree {
    struct tree *left, *right;
    double key;
};

PATTERN leak_pruned_subtree(struct sim *s) {
    struct tree *root = (struct tree *)s->data;
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        struct tree *node = (struct tree *)malloc(sizeof *node + s->size / 4);
        *node = (struct tree){ NULL, NULL, uniform(s) };
        struct tree **place = (struct tree **)&s->data;
        while (*place) place = node->key < (*place)->key ? &(*place)->left : &(*place)->right;
        *place = node;
        s->count++;
        root = (struct tree *)s->data;
        if (s->count % 50 == 0) {
            // Only the root and its right-hand line go.
            for (; root; root = (struct tree *)s->data) {
                s->data = root->right;
                free(root);
            }
        }
    }
}

// References that are taken on a path that does not give them back.
PATTERN leak_reference_count(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        int *object = (int *)malloc(sizeof(int) + s->size / 2);
        *object = 1 + chance(s, 0.03);
        if (--*object == 0) free(object);
    }
}

// A feature that is switched on in mid-run and leaks.
PATTERN leak_since_deployment(struct sim *s) {
    double from = 0.15 + s->warm * 0.6;
    for (long n = arrivals(s); n > 0; n--) {
        char *report = (char *)malloc(some_size(s));
        report[0] = 1;
        if (s->now < from || chance(s, 0.9)) free(report);
    }
}

// A nightly job, so to say.
PATTERN leak_in_batches(struct sim *s) {
    if (s->now < (double)(s->count + 1) * 0.04) return;
    s->count++;
    for (long n = (long)(s->rate / 200) + 4; n > 0; n--) {
        void *block = malloc(some_size(s));
        if (chance(s, 0.6)) later(s, block, 0.01);
    }
}

// Cancelled timers stay on the list.
PATTERN leak_cancelled_timers(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        void **timer = (void **)calloc(1, 24 + s->size / 16);
        if (chance(s, 0.2)) {
            *timer = s->data;
            s->data = timer;
        } else {
            later(s, timer, s->life * between(s, 0.5, 1));
        }
    }
}

// An arena that is never reset: chunk after chunk.
PATTERN grow_arena(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        size_t size = some_size(s);
        size_t chunk = 32 * s->size;
        if (!s->data || s->count + (long)size > (long)chunk) {
            void **fresh = (void **)malloc(chunk + sizeof(void *));
            *fresh = s->data;
            s->data = fresh;
            s->count = 0;
        }
        s->count += (long)size;
    }
}

// A table of everything that was ever seen, half as large again when full.
PATTERN grow_table_by_half(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        long room = (long)(intptr_t)s->more;
        if (s->count == room) {
            room = room + room / 2 + 32;
            s->more = (void *)(intptr_t)room;
            s->data = realloc(s->data, (size_t)room * 24);
        }
        s->count++;
    }
}

// An arena that is emptied after each batch.
PATTERN clean_arena(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        void **chunk = (void **)malloc(256 + s->size);
        *chunk = s->data;
        s->data = chunk;
        if (++s->count % 64) continue;
        while (s->data) {
            void *next = *(void **)s->data;
            free(s->data);
            s->data = next;
        }
    }
}

// Sessions of Weibull length, shape 0.5: most are short, some very long.
PATTERN clean_skewed_sessions(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        double x = -log(1.0 - uniform(s));
        later(s, malloc(some_size(s)), s->life / 4 * x * x);
    }
}

// A second-chance cache (CLOCK): what is asked for often stays.
struct page {
    long key;
    int asked;
};

PATTERN clean_second_chance(struct sim *s) {
    long room = (long)(s->rate * s->warm / 4) + 4;
    if (!s->data) s->data = calloc((size_t)room, sizeof(struct page *));
    struct page **pages = (struct page **)s->data;
    for (long n = arrivals(s); n > 0; n--) {
        long key = (long)((double)(room * 3) * uniform(s) * uniform(s));
        int hit = 0;
        // A direct place stands for the lookup.
        struct page **place = &pages[key % room];
        if (*place && (*place)->key == key) {
            (*place)->asked = 1;
            hit = 1;
        }
        if (hit) continue;
        if (*place && (*place)->asked) {
            (*place)->asked = 0;
            continue;
        }
        free(*place);
        *place = (struct page *)malloc(sizeof(struct page) + some_size(s));
        **place = (struct page){ key, 0 };
    }
}

// Code that is compiled when first asked for; when the cache is full, all of it goes.
PATTERN clean_code_cache(struct sim *s) {
    long room = (long)(s->rate * s->life) + 16;
    for (long n = arrivals(s); n > 0; n--) {
        void **code = (void **)malloc(16 + some_size(s));
        *code = s->data;
        s->data = code;
        if (++s->count < room) continue;
        for (; s->count > 0; s->count--) {
            void *next = *(void **)s->data;
            free(s->data);
            s->data = next;
        }
    }
}

// The configuration is read anew now and then, and the old one goes.
PATTERN clean_configuration(struct sim *s) {
    double period = 0.03 + s->warm / 3;
    if (s->data && s->now < (double)s->count * period) return;
    s->count++;
    void *old = s->data;
    s->data = NULL;
    for (int i = 0; i < 60; i++) {
        void **item = (void **)malloc(16 + some_size(s));
        *item = s->data;
        s->data = item;
    }
    while (old) {
        void *next = *(void **)old;
        free(old);
        old = next;
    }
}

// Work that comes in bursts and is done evenly.
HELPER void *clean_queued(struct sim *s) { return malloc(16 + some_size(s)); }

PATTERN clean_backlog(struct sim *s) {
    long in = arrivals(s) * (fmod(s->now, 0.1) < 0.05 ? 2 : 0);
    for (; in > 0; in--) {
        void **job = (void **)clean_queued(s);
        *job = s->data;
        s->data = job;
    }
    for (long out = arrivals_of(s, s->rate * 1.4); out > 0 && s->data; out--) {
        void *next = *(void **)s->data;
        free(s->data);
        s->data = next;
    }
}

// A slab of objects that is filled as far as it is needed, which is known after warm-up.
PATTERN clean_slab(struct sim *s) {
    double use = s->now < s->warm ? s->now / s->warm : 1;
    long wanted = (long)(s->rate / 8 * use);
    for (; s->count < wanted; s->count++) memset(malloc(64 + s->size), 1, 1);
    for (long n = arrivals(s); n > 0; n--) free(malloc(s->size));
}

// Everything at the start, then only look-ups.
PATTERN clean_index(struct sim *s) {
    double length = fmin(s->warm, 0.2);
    if (s->now >= length) return;
    for (long n = arrivals(s); n > 0; n--) memset(malloc(some_size(s)), 1, 1);
}

struct named patterns[] = {
    P(leak_half_open_connections), { "leak_buffer_of_dead_thread", short_lived_threads }, P(leak_value_of_removed_key),
    P(leak_pruned_subtree), P(leak_reference_count), P(leak_since_deployment), P(leak_in_batches),
    P(leak_cancelled_timers), P(grow_arena), P(grow_table_by_half),
    P(clean_arena), P(clean_skewed_sessions), P(clean_second_chance), P(clean_code_cache), P(clean_configuration),
    P(clean_backlog), P(clean_slab), P(clean_index),
};
int pattern_count = sizeof patterns / sizeof *patterns;
