// Blocks whose type the allocating functions tell, and some whose type they do not. Behind each function stand the types that are to be
// found of its stacks.
#include "keep.h"
#include <cstdlib>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace app {
struct Session {
    char text[100];
};

template <class Of> struct Pair {
    Of first, second;
};

// Allocates in its constructor, which is inlined into whatever constructs it.
struct Owner {
    void *owned = ::operator new(48);
};

struct Pooled {
    long words[4];
    static void *operator new(std::size_t size) { return ::operator new(size); }
    static void *operator new[](std::size_t size) { return ::operator new[](size); }
};

template <class Of> struct Pool {
    using value_type = Of;
    Pool() = default;
    template <class Other> Pool(const Pool<Other> &) {}
    Of *allocate(std::size_t count) { return static_cast<Of *>(::operator new(count * sizeof(Of))); }
    void deallocate(Of *block, std::size_t) { ::operator delete(block); }
    bool operator==(const Pool &) const { return true; }
};
} // namespace app

template <class Of> static Of *never_destroyed() {
    static char place[sizeof(Of)];
    return new (place) Of;
}

FUNCTION void by_make_shared() { // app::Session
    *never_destroyed<std::shared_ptr<app::Session>>() = std::make_shared<app::Session>();
}

FUNCTION void by_shared_pointer() { // std::_Sp_counted_ptr<app::Session*>, unknown
    never_destroyed<std::shared_ptr<app::Session>>()->reset(new app::Session);
}

FUNCTION void by_make_unique() { keep(std::make_unique<app::Pair<int>>().release()); } // app::Pair<int>

FUNCTION void by_make_unique_of_owner() { keep(std::make_unique<app::Owner>().release()); } // app::Owner, unknown

FUNCTION void by_vector() { // app::Pair<long>[]
    auto *vector = never_destroyed<std::vector<app::Pair<long>>>();
    vector->push_back({1, 2});
    vector->push_back({3, 4});
}

FUNCTION void by_vector_of_owners() { never_destroyed<std::vector<app::Owner>>()->emplace_back(); } // app::Owner[], unknown

FUNCTION void by_pool() { // app::Session[]
    never_destroyed<std::vector<app::Session, app::Pool<app::Session>>>()->resize(3);
}

FUNCTION void by_string() { *never_destroyed<std::string>() = std::string(opaque(60), 'x'); } // char[]

FUNCTION void by_map() { (*never_destroyed<std::map<int, app::Session>>())[3]; } // std::pair<int const, app::Session>

FUNCTION void by_hash_table() { // std::__detail::_Hash_node_base*[], std::pair<std::string const, app::Session>
    (*never_destroyed<std::unordered_map<std::string, app::Session>>())["x"];
}

FUNCTION void by_list() { never_destroyed<std::list<app::Pair<app::Session>>>()->emplace_back(); } // app::Pair<app::Session>

FUNCTION void by_deque() { never_destroyed<std::deque<int>>()->push_back(1); } // int[], int*[]

FUNCTION void by_class_new() { keep(new app::Pooled); } // app::Pooled

FUNCTION void by_class_array() { keep(new app::Pooled[3]); } // app::Pooled[]

FUNCTION void by_new() { keep(new app::Session); } // unknown

FUNCTION void by_malloc() { keep(malloc(77)); } // unknown

int main() {
    by_make_shared();
    by_shared_pointer();
    by_make_unique();
    by_make_unique_of_owner();
    by_vector();
    by_vector_of_owners();
    by_pool();
    by_string();
    by_map();
    by_hash_table();
    by_list();
    by_deque();
    by_class_new();
    by_class_array();
    by_new();
    by_malloc();
}
