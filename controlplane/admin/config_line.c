/* Words of a line, as Redis' configuration files and inline commands have them. */
#include "config_file.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Narrower than is_blank(), as in Redis. */
static bool ends_word(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && ends_word(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && ends_word(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct slice config_line_take(struct slice *text)
{
    const uint8_t *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    struct slice line = slice_from(text->data, end ? (size_t)(end - text->data) : text->len);
    size_t taken = line.len + (end ? 1 : 0);
    *text = slice_from(taken > 0 ? text->data + taken : text->data, text->len - taken);
    return trim(line);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t escaped(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* After a backslash inside double quotes: the byte meant, *at moves past it. */
static uint8_t escape_take(struct slice line, size_t *at)
{
    if (*at + 2 < line.len && line.data[*at] == 'x') {
        int high = hex_digit(line.data[*at + 1]);
        int low = hex_digit(line.data[*at + 2]);
        if (high >= 0 && low >= 0) {
            *at += 3;
            return (uint8_t)(high * 16 + low);
        }
    }
    return escaped(line.data[(*at)++]);
}

/* *at stands behind the opening quote. False: no closing one with a blank or the end behind it. */
static bool quoted_take(struct slice line, size_t *at, uint8_t quote, uint8_t **out)
{
    while (*at < line.len) {
        uint8_t c = line.data[(*at)++];
        if (c == quote)
            return *at == line.len || is_blank(line.data[*at]);
        if (c == '\\' && *at < line.len) {
            if (quote == '"')
                c = escape_take(line, at);
            else if (line.data[*at] == '\'')
                c = line.data[(*at)++];
        }
        *(*out)++ = c;
    }
    return false;
}

int config_line_split(struct slice line, uint8_t *storage, struct slice *words, int max)
{
    int count = 0;
    size_t at = 0;
    uint8_t *out = storage;
    while (true) {
        while (at < line.len && is_blank(line.data[at]))
            at++;
        if (at == line.len)
            return count;
        if (count == max)
            return -1;
        uint8_t *start = out;
        while (at < line.len && !ends_word(line.data[at])) {
            uint8_t c = line.data[at++];
            if (c != '"' && c != '\'')
                *out++ = c;
            else if (!quoted_take(line, &at, c, &out))
                return -1;
        }
        words[count++] = slice_from(start, (size_t)(out - start));
    }
}
