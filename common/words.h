/* Splits a line into words, with quotes and escapes as Redis has them in inline requests and
 * configuration files: "…" with \n \r \t \b \a \xHH and \anything, '…' with \' only; a closing
 * quote ends its word. Pure, but for memory. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "slice.h"

struct words {
    struct slice line; /* what is left to split, without the line's end */
    uint8_t *unquoted; /* room for the bytes of words with quotes: NULL until needed */
    size_t unquoted_len, unquoted_size;
};

enum words_result {
    WORDS_ONE,
    WORDS_END,
    WORDS_UNBALANCED,
};

/* The next word: a slice of the line, or of unquoted. That is the caller's, of at least the line's
 * length and freed by it, or, NULL at first, allocated once (so that slices stay valid): free() it
 * with the last word. */
enum words_result words_next(struct words *s, struct slice *word);
