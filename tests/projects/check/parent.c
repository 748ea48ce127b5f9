// A test that loses nothing itself; the program that it starts does.
#include "block.h"
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    take_and_give_back(100);
    pid_t child = fork();
    if (child == 0) {
        execl("./worker", "worker", (char *)NULL);
        _exit(127);
    }
    int status = 1;
    waitpid(child, &status, 0);
    return status == 0 ? 0 : 1;
}
