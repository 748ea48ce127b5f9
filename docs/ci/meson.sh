#!/bin/sh
# A verdict for each test: those that lose memory fail with status 23, and their reports are in build/meson-logs/testlog.txt.
meson test -C build --print-errorlogs \
    --wrapper "leak-analyze run --quiet --fail-on definite,leak,wrong-free --output-dir $PWD/leaks --"
