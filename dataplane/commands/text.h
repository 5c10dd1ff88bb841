/* A text that grows while it is written, for INFO and reports. Owner: one thread. All zero is
 * empty. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "reply.h"

struct text {
    char *data; /* malloc, NUL-terminated once something was written */
    size_t len, size;
};

/* Aborts when memory is short: texts are small. */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append(struct text *t, const char *data, size_t len);
/* Replies it as a verbatim string and frees it. */
void text_reply(struct text *t, struct reply *r);
/* "1.53M", as Redis writes sizes for people. */
#define TEXT_SIZE_ROOM 32
const char *text_size(char buf[TEXT_SIZE_ROOM], unsigned long long bytes);
