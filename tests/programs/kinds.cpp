// Blocks that C++ holds by pointers to their inside. The name of the function that allocates a block begins with its kind.
#include "keep.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

struct Named {
    virtual ~Named() = default;
    virtual int name() { return 1; }
    long number = 0;
};
struct Sized {
    virtual ~Sized() = default;
    virtual int size() { return 2; }
    long amount = 0;
};
struct Both : Named, Sized {
    long rest[4] = {};
};
struct Element {
    ~Element() { number = opaque(number); }
    long number = 0;
    char bytes[20];
};
struct Node {
    std::shared_ptr<Node> other;
};

static Sized *volatile second_base;
static Element *volatile elements;
static std::vector<std::string> *volatile strings;
static std::map<int, std::string> *volatile map;

FUNCTION void reachable_by_the_second_base() { second_base = new Both; }
FUNCTION void reachable_array() { elements = new Element[7]; }
FUNCTION void reachable_containers() {
    auto *list = new std::vector<std::string>;
    auto *tree = new std::map<int, std::string>;
    for (int i = 0; i < 20; i++) {
        list->push_back(std::string(50 + i, 'x'));
        (*tree)[i] = std::string(40 + i, 'y');
    }
    strings = list;
    map = tree;
}
FUNCTION void cycle_of_shared_pointers() {
    auto one = std::make_shared<Node>(), other = std::make_shared<Node>();
    one->other = other;
    other->other = one;
}
FUNCTION std::string *definite_string() { return new std::string; }
FUNCTION void indirect_characters(std::string *string) { string->assign(1000, 'z'); }

int main() {
    reachable_by_the_second_base();
    reachable_array();
    reachable_containers();
    cycle_of_shared_pointers();
    indirect_characters(definite_string());
    return 0;
}
