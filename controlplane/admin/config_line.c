/* Lines of a configuration file, and their words. */
#include "config_file.h"
#include "words.h"

static bool is_around(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_around(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_around(s.data[s.len - 1]))
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

int config_line_split(struct slice line, uint8_t *storage, struct slice *words, int max)
{
    struct words split = {.line = line, .unquoted = storage, .unquoted_size = line.len};
    struct slice word;
    int count = 0;
    enum words_result result;
    while ((result = words_next(&split, &word)) == WORDS_ONE) {
        if (count == max)
            return -1;
        words[count++] = word;
    }
    return result == WORDS_END ? count : -1;
}
