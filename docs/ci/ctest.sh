#!/bin/sh
# All processes of all tests in one gate. LeakCheck.cmake gives a verdict for each test instead.
leak-analyze run --fail-on definite,leak,wrong-free --output-dir leaks -- ctest --test-dir build -j2 --output-on-failure
