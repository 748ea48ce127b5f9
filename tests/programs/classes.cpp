// Objects with virtual functions. The name of the function that allocates them ends with their class.
#include "keep.h"
#include <memory>
#include <vector>

namespace shapes {
struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};
struct Circle : Shape {
    double radius = 1;
    double area() const override { return 3 * radius * radius; }
};
struct Named {
    virtual ~Named() = default;
    long name[3] = {};
};
struct Square : Named, Shape {
    double side = 1;
    double area() const override { return side * side; }
};
template <class T> struct Wrapped : Shape {
    T inner;
    double area() const override { return inner.area(); }
};
struct Plain {
    void *first = nullptr;
    long second = 2;
};
} // namespace shapes

static std::vector<shapes::Shape *> held;
static std::vector<shapes::Plain *> plain;
static std::vector<std::shared_ptr<shapes::Shape>> shared;

FUNCTION void make_circle() { held.push_back(new shapes::Circle); }
FUNCTION void make_square() { held.push_back(new shapes::Square); }
FUNCTION void make_wrapped() { held.push_back(new shapes::Wrapped<shapes::Circle>); }
FUNCTION void make_plain() { plain.push_back(new shapes::Plain); }
FUNCTION void lose_circle() { keep(new shapes::Circle); }

int main() {
    held.reserve(64);
    plain.reserve(64);
    for (int i = 0; i < 10; i++) {
        make_circle();
        make_square();
        make_wrapped();
        make_plain();
    }
    lose_circle();
    keep(nullptr);
    double sum = 0;
    for (auto *shape : held)
        sum += shape->area();
    return opaque((unsigned long)sum) == 0;
}
