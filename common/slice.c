#include "slice.h"

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool slice_equal_word(struct slice a, const char *word)
{
    for (size_t i = 0; i < a.len; i++) {
        /* The word's end stops the walk: a NUL in a cannot match past it. */
        if (word[i] == '\0' || ascii_lower(a.data[i]) != ascii_lower((uint8_t)word[i]))
            return false;
    }
    return word[a.len] == '\0';
}
