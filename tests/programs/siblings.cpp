// Sessions with members in the containers of the standard library; some are forgotten.
#include "keep.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

struct Buffer {
    char text[200];
};

class Session {
public:
    __attribute__((noinline)) Session();
    __attribute__((noinline)) void close();

private:
    std::vector<std::unique_ptr<Buffer>> buffers;
    std::map<int, std::string> names;
};

Session::Session() {
    buffers.push_back(std::make_unique<Buffer>());
    keep(buffers.back().get());
    names[1] = std::string(100, 'n');
}

void Session::close() {
    buffers.clear();
    names.clear();
}

FUNCTION void request(int number) {
    auto *session = new Session();
    keep(session);
    if (number % 50 == 49) return;
    session->close();
    delete session;
}

int main(int count, char **args) {
    int requests = count > 1 ? std::stoi(args[1]) : 500;
    for (int i = 0; i < requests; i++) request(i);
    keep(nullptr);
}
