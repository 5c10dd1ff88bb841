#include "text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"

static void text_room(struct text *t, size_t want)
{
    if (t->size - t->len > want)
        return;
    size_t size = t->size ? 2 * t->size : 1024;
    while (size - t->len <= want)
        size *= 2;
    t->data = realloc(t->data, size);
    CHECK(t->data);
    t->size = size;
}

void text_append(struct text *t, const char *data, size_t len)
{
    text_room(t, len);
    if (len > 0)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args;
    text_room(t, 128);
    va_start(args, format);
    int len = vsnprintf(t->data + t->len, t->size - t->len, format, args);
    va_end(args);
    CHECK(len >= 0);
    if ((size_t)len >= t->size - t->len) {
        text_room(t, (size_t)len);
        va_start(args, format);
        vsnprintf(t->data + t->len, t->size - t->len, format, args);
        va_end(args);
    }
    t->len += (size_t)len;
}

void text_reply(struct text *t, struct reply *r)
{
    reply_verbatim(r, slice_from(t->data ? t->data : "", t->len));
    free(t->data);
    *t = (struct text){0};
}

const char *text_size(char buf[TEXT_SIZE_ROOM], unsigned long long bytes)
{
    static const char units[] = "KMGTP";
    double value = (double)bytes;
    if (bytes < 1024) {
        snprintf(buf, TEXT_SIZE_ROOM, "%lluB", bytes);
        return buf;
    }
    unsigned unit = 0;
    for (value /= 1024; value >= 1024 && unit + 2 < sizeof(units); unit++)
        value /= 1024;
    snprintf(buf, TEXT_SIZE_ROOM, "%.2f%c", value, units[unit]);
    return buf;
}
