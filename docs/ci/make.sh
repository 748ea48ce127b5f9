#!/bin/sh
# All processes of `make check` in one gate: 0 if the tests passed and nothing was lost, 23 if something was, else make's own status.
leak-analyze run --fail-on definite,leak,wrong-free --output-dir leaks -- make -j2 check
