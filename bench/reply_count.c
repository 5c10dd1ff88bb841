#include <string.h>
#include "reply_count.h"

static void reply_element_done(struct reply_count *c)
{
    c->kind = 0;
    if (c->open > 0 && --c->open > 0)
        return;
    c->replies++;
}

static bool reply_line_done(struct reply_count *c)
{
    int64_t number = c->negative ? -c->number : c->number;
    switch (c->kind) {
    case '-':
        c->errors++;
        reply_element_done(c);
        return true;
    case '+':
    case ':':
        reply_element_done(c);
        return true;
    case '$':
        if (number < 0)
            reply_element_done(c);
        else
            c->skip = (uint64_t)number + 2;
        return true;
    case '*':
        c->kind = 0;
        if (number <= 0) {
            reply_element_done(c);
        } else {
            /* An array takes the place of one element of the array around it. */
            c->open += (uint64_t)number - (c->open > 0 ? 1 : 0);
        }
        return true;
    default:
        return false;
    }
}

static void reply_line_byte(struct reply_count *c, uint8_t byte)
{
    if (c->kind != '$' && c->kind != '*')
        return;
    if (byte == '-')
        c->negative = true;
    else if (byte >= '0' && byte <= '9' && c->number < INT64_MAX / 16)
        c->number = c->number * 10 + (byte - '0');
}

bool reply_count_feed(struct reply_count *c, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (c->skip > 0) {
            size_t n = len - i < c->skip ? len - i : (size_t)c->skip;
            i += n;
            c->skip -= n;
            if (c->skip == 0)
                reply_element_done(c);
            continue;
        }
        uint8_t byte = data[i++];
        if (c->kind == 0) {
            if (memchr("+-:$*", byte, 5) == NULL)
                return false;
            c->kind = (char)byte;
            c->number = 0;
            c->negative = false;
        } else if (byte == '\n') {
            if (!reply_line_done(c))
                return false;
        } else {
            reply_line_byte(c, byte);
        }
    }
    return true;
}
