#!/bin/sh
# Tests of native code that Python calls. Python cuts its objects from arenas of its own, in which nobody sees a single one;
# PYTHONMALLOC=malloc makes each a block, so that a lost reference is a lost block. --function or --module leaves out what is Python's own:
# say the name of your extension module.
leak-analyze run --fail-on definite,leak,wrong-free --module "${MODULE:-.}" --output-dir leaks -- \
    env PYTHONMALLOC=malloc python3 -m pytest "$@"
