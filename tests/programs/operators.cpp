// Every form of operator new, and every form of operator delete on blocks of its own.
#include "keep.h"
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

const std::align_val_t kAlignment{64};

FUNCTION void by_new() {
    keep(::operator new(101)); // leak: 1 block, 101 bytes by new in by_new
    keep(::operator new(102, std::nothrow)); // leak: 1 block, 102 bytes by new in by_new
    keep(::operator new(103, kAlignment)); // leak: 1 block, 103 bytes by new in by_new
    keep(::operator new(104, kAlignment, std::nothrow)); // leak: 1 block, 104 bytes by new in by_new
    keep(new int(1)); // leak: 1 block, 4 bytes by new in by_new
}

FUNCTION void by_new_array() {
    keep(::operator new[](201)); // leak: 1 block, 201 bytes by new[] in by_new_array
    keep(::operator new[](202, std::nothrow)); // leak: 1 block, 202 bytes by new[] in by_new_array
    keep(::operator new[](203, kAlignment)); // leak: 1 block, 203 bytes by new[] in by_new_array
    keep(::operator new[](204, kAlignment, std::nothrow)); // leak: 1 block, 204 bytes by new[] in by_new_array
    keep(new int[10]); // leak: 1 block, 40 bytes by new[] in by_new_array
}

FUNCTION void by_delete() {
    ::operator delete(::operator new(10));
    ::operator delete(::operator new(11), std::nothrow);
    ::operator delete(::operator new(12), std::size_t{12});
    ::operator delete(::operator new(13, kAlignment), kAlignment);
    ::operator delete(::operator new(14, kAlignment), kAlignment, std::nothrow);
    ::operator delete(::operator new(15, kAlignment), std::size_t{15}, kAlignment);
    ::operator delete[](::operator new[](20));
    ::operator delete[](::operator new[](21), std::nothrow);
    ::operator delete[](::operator new[](22), std::size_t{22});
    ::operator delete[](::operator new[](23, kAlignment), kAlignment);
    ::operator delete[](::operator new[](24, kAlignment), kAlignment, std::nothrow);
    ::operator delete[](::operator new[](25, kAlignment), std::size_t{25}, kAlignment);
    delete static_cast<int *>(nullptr);
}

struct Node {
    std::shared_ptr<Node> next;
};

FUNCTION void by_containers() {
    auto *numbers = new std::vector<int>; // leak: 1 block, 24 bytes by new in by_containers
    numbers->reserve(50); // leak: 1 block, 200 bytes by new in by_containers
    keep(numbers);
    std::string freed(500, 'x');
    keep(&freed);
}

FUNCTION void by_cycle() {
    auto first = std::make_shared<Node>(); // leak: 1 block, 32 bytes by new in by_cycle
    auto second = std::make_shared<Node>(); // leak: 1 block, 32 bytes by new in by_cycle
    first->next = second;
    second->next = first;
}

} // namespace

int main() {
    by_new();
    by_new_array();
    by_delete();
    by_containers();
    by_cycle();
    return 0;
}
