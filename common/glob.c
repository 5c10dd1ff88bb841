#include "numbers.h"

/* Redis' glob is a sequence of elements that take one byte each, and stars. Only the last star that
 * was passed can ever need to take more bytes (an earlier one taking more leaves the rest a shorter
 * text), so one place to go back to is enough: the work is at most pattern times text. */

static int8_t fold(uint8_t c, bool ignore_case)
{
    if (ignore_case && c >= 'A' && c <= 'Z')
        c = (uint8_t)(c + ('a' - 'A'));
    return (int8_t)c;
}

/* first-last, either way round; bytes compare as signed chars, as Redis does on x86: [a-\xff] is
 * the range from -1 to 'a'. The ends change places before case is folded. */
static bool range_has(uint8_t first, uint8_t last, uint8_t c, bool ignore_case)
{
    if ((int8_t)first > (int8_t)last) {
        uint8_t other = first;
        first = last;
        last = other;
    }
    int8_t folded = fold(c, ignore_case);
    return folded >= fold(first, ignore_case) && folded <= fold(last, ignore_case);
}

/* The element at pattern, which starts with '[': does it take c; *size is its length. A class that
 * is not closed ends with the pattern. An escaped byte in a class compares with its case. */
static bool class_takes(struct slice pattern, uint8_t c, bool ignore_case, size_t *size)
{
    const uint8_t *p = pattern.data;
    size_t at = 1;
    bool negated = at < pattern.len && p[at] == '^';
    if (negated)
        at++;
    bool found = false;
    while (at < pattern.len && p[at] != ']') {
        size_t left = pattern.len - at;
        if (p[at] == '\\' && left >= 2) {
            found |= p[at + 1] == c;
            at += 2;
        } else if (left >= 3 && p[at + 1] == '-') {
            found |= range_has(p[at], p[at + 2], c, ignore_case);
            at += 3;
        } else {
            found |= fold(p[at], ignore_case) == fold(c, ignore_case);
            at++;
        }
    }
    *size = at < pattern.len ? at + 1 : at;
    return found != negated;
}

/* Does the element at the start of pattern take c; *size is its length. Not a star. */
static bool element_takes(struct slice pattern, uint8_t c, bool ignore_case, size_t *size)
{
    const uint8_t *p = pattern.data;
    if (p[0] == '[')
        return class_takes(pattern, c, ignore_case, size);
    *size = 1;
    if (p[0] == '?')
        return true;
    if (p[0] == '\\' && pattern.len >= 2) {
        *size = 2;
        p++;
    }
    return fold(p[0], ignore_case) == fold(c, ignore_case);
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
    /* Redis compares nothing with an empty text: not even "*" matches it. */
    if (text.len == 0)
        return pattern.len == 0;
    size_t p = 0;
    size_t t = 0;
    bool starred = false;
    size_t star_p = 0; /* after the last star */
    size_t star_t = 0; /* where its rest was tried last */
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            starred = true;
            star_p = ++p;
            star_t = t;
            if (p == pattern.len)
                return true;
            continue;
        }
        size_t size;
        if (p < pattern.len && element_takes(slice_from(pattern.data + p, pattern.len - p),
                                             text.data[t], ignore_case, &size)) {
            p += size;
            t++;
            continue;
        }
        if (!starred)
            return false;
        p = star_p;
        t = ++star_t;
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}
