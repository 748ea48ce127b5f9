// Frees that look wrong and are right: every form of new and delete, blocks that libc hands over, reallocs, threads, children.
#include "keep.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

const std::align_val_t kAlignment{64};

struct Plain {
    long words[3];
};
struct alignas(128) Wide {
    char bytes[128];
    ~Wide() { keep(this); }
};
struct Base {
    long word = 0;
    virtual ~Base() { keep(this); }
};
struct Derived : Base {
    long more[10] = {};
};
struct Pooled {
    long words[4];
    static void *operator new(std::size_t size) { return std::malloc(size + 8); }
    static void operator delete(void *block) { std::free(block); }
    static void *operator new[](std::size_t size) { return ::operator new(size); }
    static void operator delete[](void *block) { ::operator delete(block); }
};
struct Tail {
    std::size_t length;
    static void *operator new(std::size_t size, std::size_t more) { return ::operator new(size + more); }
    static void operator delete(void *block) { ::operator delete(block); }
    static void operator delete(void *block, std::size_t) { ::operator delete(block); }
};
struct Thrower {
    Thrower() { throw 7; }
    long words[5];
};

void operators() {
    ::operator delete(::operator new(11), std::nothrow);
    ::operator delete(::operator new(13, kAlignment), kAlignment);
    ::operator delete(::operator new(14, kAlignment, std::nothrow), kAlignment, std::nothrow);
    ::operator delete[](::operator new[](20));
    ::operator delete[](::operator new[](21, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](23, kAlignment), kAlignment);
#ifdef __cpp_sized_deallocation
    ::operator delete(::operator new(12), std::size_t{12});
    ::operator delete(::operator new(12, std::nothrow), std::size_t{12});
    ::operator delete(::operator new(15, kAlignment), std::size_t{15}, kAlignment);
    ::operator delete[](::operator new[](22), std::size_t{22});
    ::operator delete[](::operator new[](25, kAlignment), std::size_t{25}, kAlignment);
    ::operator delete[](::operator new[](0), std::size_t{0});
#endif
    delete static_cast<int *>(nullptr);
}

void classes() {
    delete new Plain;
    delete[] new Plain[7];
    delete new Wide;
    delete[] new Wide[3];
    Base *base = new Derived;
    delete base;
    delete[] new Derived[5];
    delete[] new std::string[9];
    delete new Pooled;
    delete[] new Pooled[3];
    delete new (100) Tail;
    try {
        delete new Thrower;
    } catch (int) {
    }
    try {
        delete[] new Thrower[4];
    } catch (int) {
    }
    alignas(Plain) char place[sizeof(Plain)];
    (new (place) Plain)->words[0] = 1;
    void *block = std::malloc(sizeof(Derived));
    Derived *derived = new (block) Derived;
    derived->~Derived();
    std::free(block);
    std::unique_ptr<int[]> numbers(new int[100]);
    std::shared_ptr<Base> shared = std::make_shared<Derived>();
    std::shared_ptr<char> text(static_cast<char *>(std::malloc(5)), std::free);
    std::pmr::monotonic_buffer_resource pool;
    std::pmr::vector<int> pooled({1, 2, 3}, &pool);
    keep(pooled.data());
}

void containers() {
    std::vector<std::string> texts;
    for (int round = 0; round < 100; round++)
        texts.push_back(std::string(static_cast<std::size_t>(round), 'x'));
    std::vector<std::string> moved = std::move(texts);
    moved.shrink_to_fit();
    keep(moved.data());
}

void libc() {
    std::free(strdup("text"));
    char *line = nullptr;
    std::size_t length = 0;
    if (FILE *file = std::fopen("/proc/self/maps", "r")) {
        while (getline(&line, &length, file) > 0)
            keep(line);
        std::fclose(file);
    }
    std::free(line);
    char *text = nullptr;
    if (asprintf(&text, "%d", 7) > 0)
        std::free(text);
    dirent **entries = nullptr;
    int count = scandir("/", &entries, nullptr, alphasort);
    for (int entry = 0; entry < count; entry++)
        std::free(entries[entry]);
    std::free(entries);
    std::free(realpath("/proc/self", nullptr));
    void *aligned = nullptr;
    if (posix_memalign(&aligned, 64, 100) == 0)
        std::free(aligned);
    std::free(aligned_alloc(64, 128));
    aligned = std::realloc(aligned_alloc(64, 128), 500);
    std::free(aligned);
}

void reallocs() {
    void *block = nullptr;
    for (std::size_t size = 1; size < (1 << 20); size = size * 3 / 2 + 1)
        block = std::realloc(block, size);
    for (std::size_t size = 1 << 20; size > 1; size /= 2)
        block = std::realloc(block, size);
    std::free(block);
    block = std::calloc(3, 5);
    block = reallocarray(block, 10, 10);
    // Too much: the block stays.
    if (reallocarray(block, opaque(1UL << 40), opaque(1UL << 40)) == nullptr)
        std::free(block);
}

// The same few addresses, given out and back by all, each time by another family.
void storm() {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; thread++)
        threads.emplace_back([] {
            for (int round = 0; round < 20000; round++) {
                std::free(std::malloc(24));
                ::operator delete(::operator new(24));
                ::operator delete[](::operator new[](24));
                std::free(std::realloc(std::calloc(1, 24), 30));
            }
        });
    for (std::thread &thread : threads)
        thread.join();
}

// Children give back what they inherit, and what they allocate themselves.
void children() {
    void *block = std::malloc(100);
    Derived *derived = new Derived;
    for (int child = 0; child < 3; child++) {
        pid_t pid = fork();
        if (pid == 0) {
            std::free(block);
            delete derived;
            operators();
            containers();
            reallocs();
            _exit(0);
        }
        waitpid(pid, nullptr, 0);
    }
    std::free(block);
    delete derived;
}

} // namespace

int main() {
    for (int round = 0; round < 3; round++) {
        operators();
        classes();
        containers();
        libc();
        reallocs();
    }
    storm();
    children();
    return 0;
}
