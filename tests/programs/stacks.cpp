// One block of a size of its own for each kind of stack that is hard to walk. The argument chooses which one is made;
// everything is compiled with -O2 and without frame pointers.
#include "keep.h"
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace shapes {

template <typename Value, typename Make> __attribute__((noinline)) Value *apply(const Make &make, int times) {
    Value *last = nullptr;
    for (int i = 0; i < times; i++)
        last = make(i);
    return last;
}

// Inlined into its callers: a frame all the same.
inline void *allocate(std::size_t size) {
    void *block = std::malloc(size);
    keep(block);
    return block;
}

struct Visitor {
    std::map<std::string, int> seen;
    template <typename T> __attribute__((noinline)) void visit(const std::vector<T> &values) {
        std::for_each(values.begin(), values.end(), [this](const T &value) {
            seen["all"] += value;
            allocate(40001);
        });
    }
};

} // namespace shapes

namespace {

FUNCTION void in_lambda() {
    const std::size_t size = opaque(40000);
    shapes::apply<char>([&](int i) { return static_cast<char *>(shapes::allocate(size + 0 * i)); }, 1);
}

FUNCTION void in_template() {
    shapes::Visitor visitor;
    visitor.visit(std::vector<int>{7});
}

FUNCTION void in_function_object() {
    std::function<void(int)> nested = [](int depth) {
        std::function<void()> inner = [depth] { shapes::allocate(40002 + 0 * depth); };
        inner();
    };
    nested(1);
}

FUNCTION void recurse(int depth) {
    if (depth == 0)
        shapes::allocate(40003);
    else
        recurse(depth - 1);
    keep(&depth);
}

FUNCTION void thread_body(int depth) {
    recurse(depth - 1);
}

FUNCTION void in_thread() { std::thread(thread_body, 5).join(); }

void handler(int) { shapes::allocate(40004); }

FUNCTION void in_signal_handler() {
    std::signal(SIGUSR1, handler);
    std::raise(SIGUSR1);
}

int compare(const void *a, const void *b) {
    static bool done;
    if (!done)
        shapes::allocate(40005);
    done = true;
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

FUNCTION void in_qsort() {
    int numbers[] = {3, 1, 2};
    std::qsort(numbers, 3, sizeof(int), compare);
    keep(numbers);
}

class Failure : public std::exception {
  public:
    explicit Failure(std::size_t size) : text_(static_cast<char *>(shapes::allocate(size))) {}
    const char *what() const noexcept override { return text_; }

  private:
    char *text_;
};

FUNCTION void in_exception() {
    try {
        throw Failure(opaque(40006));
    } catch (const Failure &failure) {
        keep(const_cast<char *>(failure.what()));
    }
}

// A frame whose size is only known at run time, realigned: its CFA needs the frame register.
FUNCTION void in_realigned_frame() {
    const std::size_t length = opaque(100);
    alignas(64) char aligned[64];
    char *variable = static_cast<char *>(__builtin_alloca(length));
    keep(aligned);
    keep(variable);
    shapes::allocate(40007);
}

} // namespace

int main(int, char **args) {
    const struct {
        const char *name;
        void (*run)();
    } ways[] = {
        {"lambda", in_lambda},       {"template", in_template},
        {"function object", in_function_object}, {"recursion", [] { recurse(20); }},
        {"thread", in_thread},       {"signal handler", in_signal_handler},
        {"qsort", in_qsort},         {"exception", in_exception},
        {"realigned frame", in_realigned_frame},
    };
    for (const auto &way : ways)
        if (!std::strcmp(args[1], way.name)) {
            way.run();
            return 0;
        }
    return 2;
}
