#include "words.h"
#include <stdlib.h>
#include "check.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What ends a word outside quotes; \v and \f do not. */
static bool ends_word(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t escape_value(uint8_t c)
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

/* One character between double quotes at line[at]: how many bytes it takes. */
static size_t quoted_char(struct slice line, size_t at, uint8_t *out)
{
    const uint8_t *p = line.data + at;
    size_t left = line.len - at;
    if (p[0] != '\\' || left < 2) {
        *out = p[0];
        return 1;
    }
    if (p[1] == 'x' && left >= 4 && hex_value(p[2]) >= 0 && hex_value(p[3]) >= 0) {
        *out = (uint8_t)(hex_value(p[2]) * 16 + hex_value(p[3]));
        return 4;
    }
    *out = escape_value(p[1]);
    return 2;
}

/* Copies the quoted run whose opening quote is at line[at]; returns the index behind the closing
 * quote, 0 when there is none or something follows it. */
static size_t quoted_run(struct words *s, size_t at)
{
    uint8_t quote = s->line.data[at++];
    while (at < s->line.len) {
        const uint8_t *p = s->line.data + at;
        if (*p == quote) {
            at++;
            return at == s->line.len || is_space(s->line.data[at]) ? at : 0;
        }
        CHECK_DEBUG(s->unquoted_len < s->unquoted_size);
        uint8_t *to = s->unquoted + s->unquoted_len++;
        if (quote == '"') {
            at += quoted_char(s->line, at, to);
        } else if (*p == '\\' && at + 1 < s->line.len && p[1] == '\'') {
            *to = '\'';
            at += 2;
        } else {
            *to = *p;
            at++;
        }
    }
    return 0;
}

/* The word at line[start] has a quote at line[at]: its bytes are copied from here on. */
static enum words_result word_quoted(struct words *s, size_t start, size_t at, struct slice *word)
{
    if (!s->unquoted) {
        s->unquoted_size = s->line.len;
        s->unquoted = malloc(s->unquoted_size);
        CHECK(s->unquoted);
    }
    uint8_t *first = s->unquoted + s->unquoted_len;
    memcpy(first, s->line.data + start, at - start);
    s->unquoted_len += at - start;
    while (at < s->line.len && !ends_word(s->line.data[at])) {
        uint8_t c = s->line.data[at];
        if (c == '"' || c == '\'') {
            at = quoted_run(s, at);
            if (at == 0)
                return WORDS_UNBALANCED;
            break;
        }
        s->unquoted[s->unquoted_len++] = c;
        at++;
    }
    *word = slice_from(first, (size_t)(s->unquoted + s->unquoted_len - first));
    s->line = slice_from(s->line.data + at, s->line.len - at);
    return WORDS_ONE;
}

enum words_result words_next(struct words *s, struct slice *word)
{
    size_t at = 0;
    while (at < s->line.len && is_space(s->line.data[at]))
        at++;
    if (at == s->line.len)
        return WORDS_END;
    size_t start = at;
    while (at < s->line.len && !ends_word(s->line.data[at])) {
        if (s->line.data[at] == '"' || s->line.data[at] == '\'')
            return word_quoted(s, start, at, word);
        at++;
    }
    *word = slice_from(s->line.data + start, at - start);
    s->line = slice_from(s->line.data + at, s->line.len - at);
    return WORDS_ONE;
}
