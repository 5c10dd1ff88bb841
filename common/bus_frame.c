#include <stdlib.h>
#include "bus_codec.h"
#include "check.h"

/* Where the type ends: then the length can be judged. */
#define PREFIX_SIZE 14

static enum bus_verdict close_for(enum bus_reason *why, enum bus_reason reason)
{
    *why = reason;
    return BUS_CLOSE;
}

static bool carries_payload(unsigned type)
{
    return type == BUS_PUBLISH || type == BUS_PUBLISHSHARD || type == BUS_MODULE;
}

/* The limit for a frame whose prefix is complete. */
static uint32_t length_max(const uint8_t *prefix, const struct bus_limits *limits)
{
    unsigned type = bus_load16(prefix + BUS_AT_TYPE);
    if (type & BUS_LIGHT_BIT && limits->light)
        type &= ~(unsigned)BUS_LIGHT_BIT;
    bool payload = carries_payload(type) && bus_load16(prefix + BUS_AT_VERSION) == BUS_VERSION;
    return payload ? limits->publish_max : limits->frame_max;
}

static uint32_t length_min(const uint8_t *prefix, const struct bus_limits *limits)
{
    bool light = bus_load16(prefix + BUS_AT_TYPE) & BUS_LIGHT_BIT && limits->light;
    return light ? BUS_LIGHT_SIZE : BUS_HEADER_SIZE;
}

enum bus_verdict bus_frame_length(struct slice data, const struct bus_limits *limits, uint32_t *len,
                                  enum bus_reason *why)
{
    size_t seen = data.len < 4 ? data.len : 4;
    *why = BUS_REASON_NONE;
    if (seen > 0 && memcmp(data.data, BUS_SIGNATURE, seen) != 0)
        return close_for(why, BUS_REASON_SIGNATURE);
    if (data.len < BUS_AT_VERSION)
        return BUS_MORE;
    uint32_t totlen = bus_load32(data.data + BUS_AT_TOTLEN);
    if (totlen < (limits->light ? BUS_LIGHT_SIZE : BUS_HEADER_SIZE))
        return close_for(why, BUS_REASON_TOO_SHORT);
    if (totlen > limits->frame_max && totlen > limits->publish_max)
        return close_for(why, BUS_REASON_TOO_LONG);
    if (data.len < PREFIX_SIZE)
        return BUS_MORE;
    if (totlen < length_min(data.data, limits))
        return close_for(why, BUS_REASON_TOO_SHORT);
    if (totlen > length_max(data.data, limits))
        return close_for(why, BUS_REASON_TOO_LONG);
    *len = totlen;
    return BUS_OK;
}

void bus_framer_init(struct bus_framer *f)
{
    *f = (struct bus_framer){0};
}

void bus_framer_free(struct bus_framer *f)
{
    free(f->buf);
    bus_framer_init(f);
}

uint8_t *bus_framer_give(struct bus_framer *f)
{
    if (!f->given)
        return NULL;
    uint8_t *buf = f->buf;
    bus_framer_init(f);
    return buf;
}

/* What was returned last is not needed any more. */
static void framer_begin(struct bus_framer *f)
{
    if (!f->given)
        return;
    f->given = false;
    f->len = 0;
    if (f->size > BUS_FRAMER_KEEP)
        bus_framer_free(f);
}

static bool framer_grow(struct bus_framer *f, size_t need)
{
    size_t size = need > BUS_FRAMER_KEEP / 2 ? need * 2 : BUS_FRAMER_KEEP;
    uint8_t *buf = realloc(f->buf, size);
    if (!buf)
        return false;
    f->buf = buf;
    f->size = size;
    return true;
}

/* Moves at most want bytes from the input. False: out of memory. */
static bool framer_append(struct bus_framer *f, struct slice *input, size_t want)
{
    size_t take = want < input->len ? want : input->len;
    if (f->len + take > f->size && !framer_grow(f, f->len + take))
        return false;
    memcpy(f->buf + f->len, input->data, take);
    f->len += take;
    *input = slice_from(input->data + take, input->len - take);
    return true;
}

enum bus_verdict bus_framer_take(struct bus_framer *f, struct slice *input,
                                 const struct bus_limits *limits, struct slice *frame,
                                 enum bus_reason *why)
{
    uint32_t total = 0;
    framer_begin(f);
    if (f->len == 0) {
        enum bus_verdict v = bus_frame_length(*input, limits, &total, why);
        if (v == BUS_CLOSE)
            return v;
        if (v == BUS_OK && total <= input->len) {
            *frame = slice_from(input->data, total);
            *input = slice_from(input->data + total, input->len - total);
            return BUS_OK;
        }
    }
    for (;;) {
        enum bus_verdict v = bus_frame_length(slice_from(f->buf, f->len), limits, &total, why);
        if (v == BUS_CLOSE)
            return v;
        if (v == BUS_OK && f->len == total)
            break;
        if (input->len == 0)
            return BUS_MORE;
        if (!framer_append(f, input, (v == BUS_OK ? total : PREFIX_SIZE) - f->len))
            return close_for(why, BUS_REASON_MEMORY);
    }
    f->given = true;
    *frame = slice_from(f->buf, f->len);
    return BUS_OK;
}
