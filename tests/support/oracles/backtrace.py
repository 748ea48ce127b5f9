"""Runs the program to its malloc of `size` bytes (set before) and prints each frame: function, file, line, inlined."""

import gdb

gdb.execute("set pagination off")
gdb.execute("set backtrace past-main on")
gdb.execute("handle SIGUSR1 nostop noprint pass", to_string=True)
gdb.execute("break main", to_string=True)
gdb.execute("run", to_string=True)
# The first instruction: behind the prologue the argument's register may hold something else.
gdb.execute("break *malloc if $rdi == %d" % size, to_string=True)
gdb.execute("continue", to_string=True)

frame = gdb.newest_frame()
while frame is not None:
    if frame.type() == gdb.TAILCALL_FRAME:
        # Guessed from the callers' code: a function that has jumped away has no frame.
        frame = frame.older()
        continue
    place = frame.find_sal()
    file = place.symtab.filename if place.symtab else ""
    inlined = frame.type() == gdb.INLINE_FRAME
    print("frame", frame.name() or "", file, place.line if file else 0, inlined, sep="\t")
    frame = frame.older()
