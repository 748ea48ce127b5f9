// A small shop server, for pages that show something of everything: `shop [SECONDS]`. Two workers serve requests. Sessions that fail are not
// freed (a leak with siblings), prices are cached and never evicted (a global that grows), a journal only ever gets longer, and replies are
// built and given back at once. Markers tell the phases.
#include "../../interposer/include/libleak.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#define FUNCTION __attribute__((noinline, noclone))

struct Session {
    int customer;
    char state[240];
};

struct Price {
    long cents;
    char currency[88];
};

// As long-lived servers have them: never destroyed.
static auto &g_prices = *new std::map<int, std::unique_ptr<Price>>;
static auto &g_journal = *new std::vector<int>;
static std::mutex g_lock;

FUNCTION Session *open_session(int customer) { return new Session{customer, {}}; }

FUNCTION void close_session(Session *session) { delete session; }

FUNCTION const Price &price_of(int article) {
    auto &price = g_prices[article];
    if (!price) price = std::make_unique<Price>(Price{article * 7L, "EUR"});
    return *price;
}

FUNCTION void write_journal(int customer) { g_journal.push_back(customer); }

FUNCTION size_t render_reply(int customer, const Price &price) {
    std::string reply = "<p>Dear customer " + std::to_string(customer) + ", this article costs ";
    reply += std::to_string(price.cents) + " cents.</p>";
    return reply.size();
}

FUNCTION bool handle(int customer) {
    Session *session = open_session(customer);
    std::lock_guard<std::mutex> lock(g_lock);
    const Price &price = price_of(customer);
    write_journal(customer);
    if (render_reply(customer, price) == 0 || customer % 5 == 0)
        return false; // The session is forgotten.
    close_session(session);
    return true;
}

static void mark(const char *name) {
    if (libleak_mark) libleak_mark(name);
}

int main(int count, char **args) {
    const double seconds = count > 1 ? std::atof(args[1]) : 3;
    const auto start = std::chrono::steady_clock::now();
    const auto since = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    mark("open");
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 2; worker++)
        workers.emplace_back([&, worker] {
            pthread_setname_np(pthread_self(), worker ? "worker-2" : "worker-1");
            for (int request = worker; since() < seconds; request += 2) {
                handle(request);
                std::this_thread::sleep_for(std::chrono::microseconds(900));
            }
        });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds / 2));
    mark("sale begins");
    for (auto &worker : workers) worker.join();
    std::printf("%zu requests\n", g_journal.size());
}
