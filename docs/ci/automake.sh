#!/bin/sh
# A verdict for each test of automake's parallel harness: tests that lose memory are in its summary, and their reports in their logs.
# Tests with an extension of TEST_EXTENSIONS have a variable of their own, e.g. SH_LOG_COMPILER for .sh.
make -j2 check LOG_COMPILER="leak-analyze run --quiet --fail-on definite,leak,wrong-free --"
