#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

int main() {
    std::map<std::string, int> words;
    for (std::string word; std::cin >> word;)
        words[word]++;
    for (const auto &[word, times] : words)
        if (times > 5)
            std::cout << word << ' ' << times << '\n';
    try {
        throw std::runtime_error("caught");
    } catch (const std::exception &error) {
        std::cout << error.what() << '\n';
    }
}
