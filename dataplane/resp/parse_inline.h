/* Splits an inline request into arguments, with quotes and escapes as redis-cli and Redis have
 * them: "…" with \n \r \t \b \a \xHH and \anything, '…' with \' only; a closing quote ends its
 * argument. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "slice.h"

struct inline_split {
    struct slice line; /* what is left to split, without the line's end */
    uint8_t *unquoted; /* room for the bytes of quoted arguments: NULL until needed */
    size_t unquoted_len, unquoted_size;
};

enum inline_result {
    INLINE_ARG,
    INLINE_END,
    INLINE_UNBALANCED,
};

/* The next argument: a slice of the line, or of unquoted memory (malloc, the caller frees it with
 * the last argument; allocated once, so that slices stay valid). */
enum inline_result inline_split_next(struct inline_split *s, struct slice *arg);
