/* A buffer of received bytes that changes hands by mail (unix_mail.h, link_mail.h) and is read in
 * place by its receiver, until it is used up and goes back. Owner: the receiver's thread. */
#pragma once
#include <stdbool.h>
#include "check.h"
#include "slice.h"

struct inbuf {
    struct slice left; /* of what it holds; data NULL: it is not here */
};

/* It has come, with at least one byte. */
static inline void inbuf_receive(struct inbuf *in, const uint8_t *data, size_t len)
{
    in->left = slice_from(data, len);
}

static inline bool inbuf_is_here(const struct inbuf *in)
{
    return in->left.data != NULL;
}

/* True: it is used up. len <= what is left. */
static inline bool inbuf_consume(struct inbuf *in, size_t len)
{
    CHECK(inbuf_is_here(in) && len <= in->left.len);
    in->left = slice_from(in->left.data + len, in->left.len - len);
    return in->left.len == 0;
}

/* Goes back. */
static inline void inbuf_return(struct inbuf *in)
{
    in->left = slice_from(NULL, 0);
}
