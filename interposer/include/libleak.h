// What a program may tell libleak.so. Nothing has to be linked: without libleak the functions are null.
//
//     if (libleak_mark)
//         libleak_mark("warmed up");
#ifndef LIBLEAK_H
#define LIBLEAK_H

#ifdef __cplusplus
extern "C" {
#endif

// Gives this moment a name (up to 64 KiB of any bytes), for leak-analyze's --from and --to. May be called by any thread, also in a signal
// handler. The first 65,536 markers of a process are kept. Never fails.
__attribute__((weak)) void libleak_mark(const char *name);

#ifdef __cplusplus
}
#endif

#endif
