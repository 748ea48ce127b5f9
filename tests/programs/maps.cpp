// C++ containers: `maps OPERATIONS`. Puts strings into a std::map and takes them out again, up to 20,000 at a time; nodes,
// keys and values are blocks of operator new. Prints the operations and the time they took.
#include "keep.h"
#include "timed.h"
#include <map>
#include <string>

namespace {

using Entries = std::map<std::string, std::string>;

constexpr uint32_t KEYS = 20000;

FUNCTION void put(Entries &entries, const std::string &key, uint32_t number) {
    entries[key] = std::string(8 + number % 60, 'x');
}

FUNCTION void take(Entries &entries, const std::string &key) { entries.erase(key); }

void body(void *argument, int thread) {
    Entries entries;
    uint64_t state = static_cast<uint64_t>(thread) + 1;
    for (long i = 0; i < *static_cast<long *>(argument); i++) {
        std::string key = "a key of some length, number " + std::to_string(timed_random(&state) % KEYS);
        if (uint32_t number = timed_random(&state); number % 3)
            put(entries, key, number);
        else
            take(entries, key);
    }
    keep(&entries);
}

} // namespace

int main(int count, char **args) {
    long operations = count > 1 ? atol(args[1]) : 10000;
    timed_print(operations, timed_run(1, body, &operations));
    return 0;
}
