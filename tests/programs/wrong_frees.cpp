// Wrong frees, one for each argument: what is freed, and where, the functions' names say.
#include "keep.h"
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wfree-nonheap-object"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#pragma GCC diagnostic ignored "-Wuse-after-free"

namespace {

struct Base {
    long words[2];
};
struct Derived : Base {
    long more[3];
};
struct Cookie {
    long word;
    __attribute__((noinline)) ~Cookie() { keep(this); }
};

// An address the compiler cannot see through.
void *hidden(void *block) {
    return reinterpret_cast<void *>(opaque(reinterpret_cast<unsigned long>(block)));
}

FUNCTION void *make_by_malloc(std::size_t size) {
    return hidden(std::malloc(size));
}
FUNCTION void *make_by_new(std::size_t size) {
    return hidden(::operator new(size));
}
FUNCTION void *make_by_new_array(std::size_t size) {
    return hidden(::operator new[](size));
}

char variable[256];

FUNCTION void first_free(void *block) {
    std::free(block);
    keep(variable);
}
FUNCTION void wrong_free(void *block) {
    std::free(block);
    keep(nullptr);
}
FUNCTION void wrong_realloc(void *block) {
    keep(std::realloc(block, 100));
}
FUNCTION void wrong_delete(void *block) {
    ::operator delete(block);
    keep(nullptr);
}
FUNCTION void wrong_delete_array(void *block) {
    ::operator delete[](block);
    keep(nullptr);
}
FUNCTION void wrong_sized_delete(Base *base) {
    delete base;
    keep(nullptr);
}
FUNCTION void wrong_sized_delete_array(void *block) {
    ::operator delete[](block, std::size_t{25});
    keep(nullptr);
}
FUNCTION void wrong_cookie_delete(Cookie *cookies) {
    delete cookies;
    keep(nullptr);
}

FUNCTION int run(const std::string &kind) {
    if (kind == "double") {
        void *block = make_by_malloc(24);
        first_free(block);
        wrong_free(block);
    } else if (kind == "double-later") {
        // Enough of this size in between that glibc does not notice.
        void *blocks[20];
        for (void *&block : blocks)
            block = make_by_malloc(40);
        for (void *block : blocks)
            first_free(block);
        wrong_free(blocks[12]);
    } else if (kind == "double-delete") {
        void *block = make_by_new(24);
        ::operator delete(block);
        wrong_delete(hidden(block));
    } else if (kind == "realloc-freed") {
        void *block = make_by_malloc(24);
        first_free(block);
        wrong_realloc(block);
    } else if (kind == "malloc-delete") {
        wrong_delete(make_by_malloc(31));
    } else if (kind == "malloc-delete-array") {
        wrong_delete_array(make_by_malloc(31));
    } else if (kind == "new-free") {
        wrong_free(make_by_new(32));
    } else if (kind == "new-array-free") {
        wrong_free(make_by_new_array(33));
    } else if (kind == "new-delete-array") {
        wrong_delete_array(make_by_new(34));
    } else if (kind == "new-array-delete") {
        wrong_delete(make_by_new_array(35));
    } else if (kind == "new-realloc") {
        wrong_realloc(make_by_new(36));
    } else if (kind == "wrong-size") {
        wrong_sized_delete(static_cast<Base *>(new (make_by_new(sizeof(Derived))) Derived));
    } else if (kind == "wrong-array-size") {
        wrong_sized_delete_array(make_by_new_array(24));
    } else if (kind == "inside") {
        wrong_free(static_cast<char *>(make_by_malloc(200)) + 48);
    } else if (kind == "far-inside") {
        wrong_free(static_cast<char *>(make_by_malloc(100000)) + 65536);
    } else if (kind == "cookie") {
        void *block = make_by_new_array(8 + 3 * sizeof(Cookie));
        wrong_cookie_delete(reinterpret_cast<Cookie *>(static_cast<char *>(block) + 8));
    } else if (kind == "stack") {
        char local[256];
        wrong_free(hidden(local + 64));
    } else if (kind == "variable") {
        wrong_free(hidden(variable + 64));
    } else if (kind == "often") {
        for (int round = 0; round < 10; round++)
            wrong_delete(make_by_malloc(31));
    } else {
        return 2;
    }
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    std::string kind = argc > 1 ? argv[1] : "";
    return run(kind);
}
