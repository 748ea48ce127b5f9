// Patterns that thresholds were chosen with, in C++.
#include "sim.h"
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

template <typename T> static T &own(struct sim *s) {
    if (!s->data) s->data = new T();
    return *static_cast<T *>(s->data);
}

PATTERN leak_map_never_erased(struct sim *s) {
    auto &map = own<std::map<long, std::string>>(s);
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) map[s->count++] = std::string(some_size(s), 'x');
}

struct Node {
    std::shared_ptr<Node> other;
    char rest[48];
};

PATTERN leak_shared_cycle(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 4); n > 0; n--) {
        auto one = std::make_shared<Node>();
        auto two = std::make_shared<Node>();
        one->other = two;
        if (chance(s, 0.4)) two->other = one;
    }
}

struct Forgetful {
    char *buffer;
    explicit Forgetful(char *given) : buffer(given) {}
    ~Forgetful() {}
};

PATTERN leak_destructor(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 3); n > 0; n--) Forgetful object((char *)kept(new char[some_size(s)]()));
}

PATTERN leak_thrown(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        char *buffer = (char *)kept(new char[some_size(s)]());
        try {
            if (chance(s, 0.1)) throw 1;
            delete[] buffer;
        } catch (int) {
        }
    }
}

PATTERN leak_closures(struct sim *s) {
    auto &list = own<std::list<std::function<void()>>>(s);
    for (long n = arrivals_of(s, s->rate / 4); n > 0; n--) {
        std::string text(some_size(s), 'y');
        list.push_back([text] { (void)text.size(); });
    }
}

PATTERN grow_string(struct sim *s) {
    auto &log = own<std::string>(s);
    for (long n = arrivals(s); n > 0; n--) log.append(16 + s->size / 8, 'z');
}

PATTERN clean_bounded_map(struct sim *s) {
    auto &map = own<std::map<long, std::string>>(s);
    long room = (long)(s->rate * s->warm / 2) + 1;
    for (long n = arrivals(s); n > 0; n--) {
        map[s->count++] = std::string(some_size(s), 'x');
        if ((long)map.size() > room) map.erase(map.begin());
    }
}

PATTERN clean_window(struct sim *s) {
    auto &window = own<std::deque<std::unique_ptr<char[]>>>(s);
    size_t room = (size_t)(s->rate * s->life) + 4;
    for (long n = arrivals(s); n > 0; n--) {
        window.emplace_back(new char[some_size(s)]());
        if (window.size() > room) window.pop_front();
    }
}

PATTERN clean_strings(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        std::string text(some_size(s), 'a');
        text += text;
        s->count += (long)text.size();
    }
}

PATTERN clean_interned(struct sim *s) {
    // A bounded vocabulary, rare words come late.
    auto &words = own<std::set<long>>(s);
    double vocabulary = s->rate * s->warm / 8 + 2;
    for (long n = arrivals(s); n > 0; n--) words.insert((long)pow(vocabulary, uniform(s)));
}

PATTERN clean_reused_vector(struct sim *s) {
    auto &vector = own<std::vector<char>>(s);
    for (long n = arrivals(s); n > 0; n--) {
        vector.clear();
        vector.resize((size_t)(exponential(s, (double)s->size)) + 4096);
    }
}

PATTERN clean_churned_set(struct sim *s) {
    auto &set = own<std::unordered_map<long, std::string>>(s);
    long keys = (long)(s->rate * s->life) + 8;
    for (long n = arrivals(s); n > 0; n--) {
        long key = (long)(uniform(s) * (double)keys);
        if (!set.erase(key)) set.emplace(key, std::string(some_size(s), 'b'));
    }
}

struct named patterns[] = {
    P(leak_map_never_erased), P(leak_shared_cycle), P(leak_destructor), P(leak_thrown), P(leak_closures), P(grow_string),
    P(clean_bounded_map), P(clean_window), P(clean_strings), P(clean_interned), P(clean_reused_vector),
    P(clean_churned_set),
};
int pattern_count = sizeof patterns / sizeof *patterns;
