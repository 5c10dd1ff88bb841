/* Compares glob_match() with a second matcher that goes back to every star, on short inputs: first
 * byte: bit 0 ignore case, the rest the length of the pattern. */
#include <ctype.h>
#include <stdlib.h>
#include "check.h"
#include "numbers.h"

#define TEXT_MAX 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fold(int8_t c, bool ignore_case)
{
    return ignore_case && c >= 0 ? tolower(c) : c;
}

static bool class_has(const int8_t **at, const int8_t *end, int8_t c, bool ignore_case)
{
    const int8_t *p = *at + 1;
    bool negated = p < end && *p == '^';
    bool found = false;
    p += negated;
    for (; p < end && *p != ']'; p++) {
        if (*p == '\\' && end - p >= 2) {
            found |= *++p == c;
        } else if (end - p >= 3 && p[1] == '-') {
            int low = p[0] < p[2] ? p[0] : p[2];
            int high = p[0] < p[2] ? p[2] : p[0];
            int folded = fold(c, ignore_case);
            found |= folded >= fold((int8_t)low, ignore_case) &&
                     folded <= fold((int8_t)high, ignore_case);
            p += 2;
        } else {
            found |= fold(*p, ignore_case) == fold(c, ignore_case);
        }
    }
    *at = p < end ? p + 1 : p;
    return found != negated;
}

/* Every length for every star, from the end of the pattern: a table instead of a recursion. */
static bool slow_match(const int8_t *p, size_t p_len, const int8_t *t, size_t t_len,
                       bool ignore_case)
{
    const int8_t *end = p + p_len;
    bool reach[TEXT_MAX + 1] = {true}; /* the pattern so far matches this much of the text */
    if (t_len == 0)
        return p_len == 0;
    while (p < end) {
        bool next[TEXT_MAX + 1] = {false};
        const int8_t *after = p + 1;
        for (size_t i = 0; i <= t_len; i++) {
            if (*p == '*') {
                next[i] = reach[i] || (i > 0 && next[i - 1]);
                continue;
            }
            const int8_t *at = p;
            bool takes;
            if (*p == '[') {
                takes = class_has(&at, end, i < t_len ? t[i] : 0, ignore_case);
                after = at;
            } else {
                at += *p == '\\' && end - p >= 2;
                takes = i < t_len && ((at == p && *p == '?') ||
                                      fold(*at, ignore_case) == fold(t[i], ignore_case));
                after = at + 1;
            }
            if (i < t_len && reach[i] && takes)
                next[i + 1] = true;
        }
        memcpy(reach, next, sizeof(reach));
        p = after;
    }
    return reach[t_len];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool ignore_case = data[0] & 1;
    size_t p_len = data[0] >> 1;
    if (p_len > size - 1)
        p_len = size - 1;
    size_t t_len = size - 1 - p_len;
    if (t_len > TEXT_MAX)
        t_len = TEXT_MAX;
    uint8_t *pattern = malloc(p_len ? p_len : 1);
    uint8_t *text = malloc(t_len ? t_len : 1);
    CHECK(pattern);
    CHECK(text);
    memcpy(pattern, data + 1, p_len);
    memcpy(text, data + 1 + p_len, t_len);
    bool fast = glob_match(slice_from(pattern, p_len), slice_from(text, t_len), ignore_case);
    CHECK(fast == slow_match((int8_t *)pattern, p_len, (int8_t *)text, t_len, ignore_case));
    free(pattern);
    free(text);
    return 0;
}
