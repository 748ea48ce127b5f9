#!/bin/sh
# A test that is a script, in which one program of several loses memory.
./tidy && ./tool | sed -n 1p
