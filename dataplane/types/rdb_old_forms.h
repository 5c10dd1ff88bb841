/* Writes the containers of old versions of Redis, which no current server writes: for tests and the
 * fuzzer's seeds. Tests only. */
#pragma once
#include <string.h>
#include "check.h"
#include "numbers.h"
#include "slice.h"

#define OLD_FORM_MAX 100000

struct old_form {
    uint8_t bytes[OLD_FORM_MAX];
    size_t len;
    size_t last_at, last_size, count;
};

static inline void old_put(struct old_form *f, const void *data, size_t len)
{
    CHECK(f->len + len <= OLD_FORM_MAX);
    if (len > 0)
        memcpy(f->bytes + f->len, data, len);
    f->len += len;
}

static inline void old_put_number(struct old_form *f, uint64_t value, unsigned bytes,
                                  bool big_endian)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * (big_endian ? bytes - 1 - i : i));
        old_put(f, &byte, 1);
    }
}

static inline struct slice old_slice(const struct old_form *f)
{
    return slice_from(f->bytes, f->len);
}

/* ---- ziplist ---- */

static inline void ziplist_begin(struct old_form *f)
{
    *f = (struct old_form){.len = 10};
}

static inline void ziplist_put_integer(struct old_form *f, int64_t value)
{
    static const struct {
        unsigned bytes;
        uint8_t encoding;
    } widths[] = {{1, 0xFE}, {2, 0xC0}, {3, 0xF0}, {4, 0xD0}, {8, 0xE0}};
    if (value >= 0 && value <= 12) {
        old_put_number(f, 0xF1 + (uint64_t)value, 1, false);
        return;
    }
    for (unsigned i = 0; i < 5; i++) {
        int64_t max = (int64_t)(UINT64_MAX >> 1 >> (64 - 8 * widths[i].bytes));
        if (value <= max && value >= -max - 1) {
            old_put(f, &widths[i].encoding, 1);
            old_put_number(f, (uint64_t)value, widths[i].bytes, false);
            return;
        }
    }
}

static inline void ziplist_put_head(struct old_form *f, size_t len)
{
    if (len < 64) {
        old_put_number(f, len, 1, true);
    } else if (len < 16384) {
        old_put_number(f, 0x4000 | len, 2, true);
    } else {
        old_put_number(f, 0x80, 1, true);
        old_put_number(f, len, 4, true);
    }
}

static inline void ziplist_add(struct old_form *f, struct slice value)
{
    int64_t number;
    size_t start = f->len;
    if (f->last_size < 254) {
        old_put_number(f, f->last_size, 1, false);
    } else {
        old_put_number(f, 254, 1, false);
        old_put_number(f, f->last_size, 4, false);
    }
    if (parse_i64(value, &number)) {
        ziplist_put_integer(f, number);
    } else {
        ziplist_put_head(f, value.len);
        old_put(f, value.data, value.len);
    }
    f->last_at = start;
    f->last_size = f->len - start;
    f->count++;
}

static inline void ziplist_finish(struct old_form *f)
{
    old_put_number(f, 255, 1, false);
    size_t len = f->len;
    f->len = 0;
    old_put_number(f, len, 4, false);
    old_put_number(f, f->count ? f->last_at : 10, 4, false);
    old_put_number(f, f->count < 65535 ? f->count : 65535, 2, false);
    f->len = len;
}

/* ---- zipmap ---- */

static inline void zipmap_begin(struct old_form *f)
{
    *f = (struct old_form){.len = 1};
}

static inline void zipmap_put_length(struct old_form *f, size_t len)
{
    old_put_number(f, len < 254 ? len : 254, 1, false);
    if (len >= 254)
        old_put_number(f, len, 4, false);
}

/* unused: bytes that a shorter value left behind it. */
static inline void zipmap_add(struct old_form *f, struct slice field, struct slice value,
                              uint8_t unused)
{
    zipmap_put_length(f, field.len);
    old_put(f, field.data, field.len);
    zipmap_put_length(f, value.len);
    old_put(f, &unused, 1);
    old_put(f, value.data, value.len);
    for (unsigned i = 0; i < unused; i++)
        old_put(f, "?", 1);
    f->count++;
}

static inline void zipmap_finish(struct old_form *f)
{
    old_put_number(f, 255, 1, false);
    f->bytes[0] = (uint8_t)(f->count < 254 ? f->count : 254);
}
