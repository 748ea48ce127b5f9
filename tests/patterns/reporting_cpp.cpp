// Patterns that results are reported of, in C++.
#include "sim.h"
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

template <typename T> static T &own(struct sim *s) {
    if (!s->data) s->data = new T();
    return *static_cast<T *>(s->data);
}

struct Shape {
    virtual int area() { return 0; }
    virtual ~Shape() = default;
};
struct Polygon : Shape {
    char *points;
    explicit Polygon(char *given) : points(given) {}
    int area() override { return points[0]; }
};

// The polygon's points have no owner.
HELPER Shape *clean_polygon(char *points) { return new Polygon(points); }

PATTERN leak_member_without_owner(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 3); n > 0; n--) {
        Shape *shape = clean_polygon(static_cast<char *>(kept(new char[some_size(s)]())));
        s->count += shape->area();
        delete shape;
    }
}

// Observers are registered for each request and never taken off.
struct Observer {
    virtual void notify() = 0;
    virtual ~Observer() = default;
};
struct Printing : Observer {
    char state[72];
    void notify() override {}
};

PATTERN leak_observers(struct sim *s) {
    auto &observers = own<std::forward_list<std::unique_ptr<Observer>>>(s);
    for (long n = arrivals_of(s, s->rate / 5); n > 0; n--) observers.push_front(std::make_unique<Printing>());
}

struct Parent;
struct Child {
    std::shared_ptr<Parent> parent;
};
struct Parent {
    std::vector<std::shared_ptr<Child>> children;
    char data[40];
};

// Parents and children own one another, unless somebody takes the trouble to part them.
PATTERN leak_family_cycle(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 5); n > 0; n--) {
        auto parent = std::make_shared<Parent>();
        auto child = std::make_shared<Child>();
        child->parent = parent;
        parent->children.push_back(child);
        if (chance(s, 0.7)) parent->children.clear();
    }
}

// Released, not reset.
PATTERN leak_released_pointer(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        std::unique_ptr<char[]> buffer(new char[some_size(s)]());
        kept(buffer.get());
        if (chance(s, 0.1)) (void)buffer.release();
    }
}

// A cache by request id: nobody asks for an old one again, and nobody takes it out.
PATTERN leak_cache_without_eviction(struct sim *s) {
    auto &cache = own<std::unordered_map<std::string, std::vector<char>>>(s);
    for (long n = arrivals_of(s, s->rate / 3); n > 0; n--)
        cache["request number " + std::to_string(s->count++)].resize(some_size(s));
}

// Polymorphic, deleted by a base whose destructor is not: here, the buffer behind.
struct Base {
    int kind = 0;
};
struct Derived : Base {
    std::string text;
};

PATTERN leak_wrong_destructor(struct sim *s) {
    for (long n = arrivals_of(s, s->rate / 2); n > 0; n--) {
        auto *derived = new (malloc(sizeof(Derived))) Derived();
        derived->text.assign(some_size(s) + 32, 'd');
        free(static_cast<Base *>(derived)); // as if by `delete base`
    }
}

// Subscriptions by closure; every tenth is dropped, the others stay.
PATTERN leak_subscriptions(struct sim *s) {
    auto &list = own<std::list<std::function<size_t()>>>(s);
    for (long n = arrivals_of(s, s->rate / 4); n > 0; n--) {
        std::string topic(some_size(s), 't');
        list.push_back([topic] { return topic.size(); });
        if (chance(s, 0.1)) list.pop_back();
    }
}

PATTERN grow_priority_queue(struct sim *s) {
    auto &queue = own<std::priority_queue<std::pair<double, long>>>(s);
    for (long n = arrivals(s); n > 0; n--) {
        queue.push({ uniform(s), s->count++ });
        if (chance(s, 0.5)) queue.pop();
    }
}

// Least recently used, as everybody writes it.
PATTERN clean_least_recently_used(struct sim *s) {
    using Item = std::pair<long, std::string>;
    struct Cache {
        std::list<Item> order;
        std::unordered_map<long, std::list<Item>::iterator> index;
    };
    auto &cache = own<Cache>(s);
    size_t room = (size_t)(s->rate * s->warm / 3) + 4;
    for (long n = arrivals(s); n > 0; n--) {
        long key = (long)(uniform(s) * uniform(s) * (double)(room * 4));
        auto found = cache.index.find(key);
        if (found != cache.index.end()) {
            cache.order.splice(cache.order.begin(), cache.order, found->second);
            continue;
        }
        cache.order.emplace_front(key, std::string(some_size(s), 'c'));
        cache.index[key] = cache.order.begin();
        if (cache.order.size() > room) {
            cache.index.erase(cache.order.back().first);
            cache.order.pop_back();
        }
    }
}

// Expires after a time that each entry has for itself.
PATTERN clean_expiring(struct sim *s) {
    auto &entries = own<std::multimap<double, std::string>>(s);
    for (long n = arrivals(s); n > 0; n--)
        entries.emplace(s->now + s->warm * between(s, 0.3, 1), std::string(some_size(s), 'e'));
    while (!entries.empty() && entries.begin()->first <= s->now) entries.erase(entries.begin());
}

PATTERN clean_objects(struct sim *s) {
    for (long n = arrivals(s); n > 0; n--) {
        auto shared = std::make_shared<std::vector<int>>(s->size / 4 + 1);
        std::weak_ptr<std::vector<int>> weak = shared;
        s->count += weak.lock()->back();
    }
}

// Symbols of a program text: all are known after a while.
PATTERN clean_symbols(struct sim *s) {
    auto &symbols = own<std::unordered_set<std::string>>(s);
    double many = s->rate * s->warm / 10 + 3;
    for (long n = arrivals(s); n > 0; n--) {
        long rank = (long)(many * pow(uniform(s), 2));
        symbols.insert("a symbol with a rather long name " + std::to_string(rank));
    }
}

// Two generations, swapped.
PATTERN clean_generations(struct sim *s) {
    auto &generations = own<std::pair<std::vector<std::string>, std::vector<std::string>>>(s);
    for (long n = arrivals(s); n > 0; n--) generations.first.emplace_back(some_size(s), 'g');
    if (s->now < (double)(s->count + 1) * (0.02 + s->life)) return;
    s->count++;
    generations.second.clear();
    std::swap(generations.first, generations.second);
}

// A buffer that keeps the largest size that was ever needed.
PATTERN clean_high_water(struct sim *s) {
    auto &buffer = own<std::string>(s);
    for (long n = arrivals(s); n > 0; n--) {
        buffer.clear();
        buffer.append((size_t)fmin(exponential(s, (double)s->size), (double)s->size * 4) + 4096, 'h');
    }
}

// Tickets come, are worked on and go; how long depends on the hour.
PATTERN clean_tickets(struct sim *s) {
    auto &open = own<std::set<std::pair<double, std::shared_ptr<std::string>>>>(s);
    for (long n = arrivals(s); n > 0; n--) {
        double length = s->life * (1 + 0.8 * sin(s->now * 25));
        open.emplace(s->now + length, std::make_shared<std::string>(some_size(s), 't'));
    }
    while (!open.empty() && open.begin()->first <= s->now) open.erase(open.begin());
}

struct named patterns[] = {
    P(leak_member_without_owner), P(leak_observers), P(leak_family_cycle), P(leak_released_pointer),
    P(leak_cache_without_eviction), P(leak_wrong_destructor), P(leak_subscriptions), P(grow_priority_queue),
    P(clean_least_recently_used), P(clean_expiring), P(clean_objects), P(clean_symbols), P(clean_generations),
    P(clean_high_water), P(clean_tickets),
};
int pattern_count = sizeof patterns / sizeof *patterns;
