#pragma once
#include <stddef.h>

char *join(const char *first, const char *second);
size_t sum(size_t count);
void release(char *text);
