// A small log summarizer with two leaks, for a first look at libleak: `scripts/run` shows its report.
//
// It reads made-up log lines. Sessions that end by "timeout" are forgotten instead of deleted (the first leak), and every
// parsed address is copied once too often (the second). The table of counts is live at the end, but not lost.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

struct Session {
    std::string user;
    char *address;
    int requests = 0;
};

class Summary {
  public:
    void line(const std::string &user, const char *address, const std::string &action) {
        if (action == "login")
            open(user, address);
        else if (action == "logout")
            close(user);
        else if (action == "timeout")
            sessions_.erase(user); // leaks the Session: only logout deletes it
        else if (Session *session = find(user))
            session->requests++;
        counts_[action]++;
    }

    void print() const {
        for (const auto &[action, count] : counts_)
            std::printf("%-8s %d\n", action.c_str(), count);
    }

  private:
    void open(const std::string &user, const char *address) {
        sessions_[user] = new Session{user, parse_address(address)};
    }

    void close(const std::string &user) {
        if (Session *session = find(user)) {
            delete session; // leaks session->address, which came from strdup
            sessions_.erase(user);
        }
    }

    static char *parse_address(const char *text) { return strdup(text); }

    Session *find(const std::string &user) const {
        auto entry = sessions_.find(user);
        return entry == sessions_.end() ? nullptr : entry->second;
    }

    std::map<std::string, Session *> sessions_;
    std::map<std::string, int> counts_;
};

int main() {
    auto *summary = new Summary;
    for (int i = 0; i < 1000; i++) {
        const std::string user = "user-" + std::to_string(i);
        const std::string address = "192.0.2." + std::to_string(i % 256) + ":" + std::to_string(40000 + i);
        summary->line(user, address.c_str(), "login");
        summary->line(user, address.c_str(), "request");
        summary->line(user, address.c_str(), i % 4 == 0 ? "timeout" : "logout");
    }
    summary->print();
    return 0;
}
