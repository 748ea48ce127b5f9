// Blocks that are made before main and freed after it, by all who run then: constructors and destructors, handlers of
// exit, thread-local objects, keys of threads. Linked with lifecycle_library.c.
#include "keep.h"
#include <cstdlib>
#include <pthread.h>

extern "C" int library_works(void);

static void *early[4];

__attribute__((constructor(101))) static void before_main() {
    for (void *&block : early)
        block = malloc(100); // leak: 1 block, 100 bytes by malloc in before_main
}

__attribute__((destructor(101))) static void after_main() {
    for (int i = 0; i < 3; i++)
        free(early[i]);
}

struct Holder {
    void *block;
    explicit Holder(size_t size) : block(malloc(size)) {}
    ~Holder() { free(block); }
    void touch() { keep(block); }
};

static Holder global(201);
thread_local Holder local(202);
static pthread_key_t key;

// Sets the key again, once, so that it is called a second time.
static void at_thread_end(void *block) {
    static thread_local bool again;
    if (!again) {
        again = true;
        pthread_setspecific(key, malloc(203));
    }
    free(block);
}

static void at_exit_of_all() {
    static Holder made_at_exit(204);
    made_at_exit.touch();
    keep(malloc(55)); // leak: 1 block, 55 bytes by malloc in at_exit_of_all
}

static void *thread(void *) {
    local.touch();
    pthread_setspecific(key, malloc(205));
    keep(malloc(31)); // leak: 10 blocks, 310 bytes by malloc in thread
    return nullptr;
}

int main() {
    if (pthread_key_create(&key, at_thread_end) || atexit(at_exit_of_all))
        return 1;
    local.touch();
    global.touch();
    for (int i = 0; i < 10; i++) {
        pthread_t other;
        if (pthread_create(&other, nullptr, thread, nullptr) || pthread_join(other, nullptr))
            return 1;
    }
    return library_works() ? 0 : 1;
}
