// A test of the shared library.
void shared_lose(void);

int main(void) {
    shared_lose();
    return 0;
}
