#include "dump_payload.h"
#include "rdb_crc.h"
#include "rdb_format.h"

#define CRC_BYTES 8
#define SUM_BYTES_PER_STEP ((size_t)128 << 10)
#define SUM_PIECE 4096

void dump_payload_begin(struct dump_payload *p, const struct rdb_value *v, bool compress)
{
    *p = (struct dump_payload){.writer = {.out = &p->out, .compress = compress}};
    rdb_write_byte(&p->writer, rdb_value_type(v));
    rdb_encoder_init(&p->encoder, v);
}

static void append_le(struct outbuf *out, uint64_t value, unsigned bytes)
{
    uint8_t text[8];
    for (unsigned i = 0; i < bytes; i++, value >>= 8)
        text[i] = (uint8_t)value;
    outbuf_append(out, text, bytes);
}

/* True: all of out is in the checksum. */
static bool sum_step(struct dump_payload *p)
{
    uint8_t piece[SUM_PIECE];
    size_t end =
        p->out.len - p->summed < SUM_BYTES_PER_STEP ? p->out.len : p->summed + SUM_BYTES_PER_STEP;
    while (p->summed < end) {
        size_t len = end - p->summed < SUM_PIECE ? end - p->summed : SUM_PIECE;
        outbuf_copy(&p->out, &p->summed_to, piece, len);
        p->crc = rdb_crc(p->crc, piece, len);
        p->summed += len;
    }
    return end == p->out.len;
}

bool dump_payload_step(struct dump_payload *p)
{
    if (!p->encoded) {
        if (!rdb_encoder_step(&p->encoder, &p->writer, DUMP_STEP_BUDGET))
            return false;
        p->encoded = true;
        append_le(&p->out, RDB_VERSION_WRITTEN, 2);
        outbuf_cursor_reset(&p->out, &p->summed_to);
    }
    if (!sum_step(p))
        return false;
    append_le(&p->out, p->crc, CRC_BYTES);
    return true;
}

void dump_payload_fini(struct dump_payload *p)
{
    rdb_encoder_fini(&p->encoder);
    outbuf_clear(&p->out);
}

enum dump_verdict dump_check_step(struct dump_check *check, struct slice payload)
{
    if (payload.len < DUMP_FOOTER_BYTES)
        return DUMP_WRONG_FOOTER;
    const uint8_t *footer = payload.data + payload.len - DUMP_FOOTER_BYTES;
    unsigned version = footer[0] | (unsigned)footer[1] << 8;
    if (version > RDB_VERSION_MAX)
        return DUMP_WRONG_FOOTER;
    size_t left = payload.len - CRC_BYTES - check->summed;
    size_t len = left < SUM_BYTES_PER_STEP ? left : SUM_BYTES_PER_STEP;
    check->crc = rdb_crc(check->crc, payload.data + check->summed, len);
    check->summed += len;
    if (len < left)
        return DUMP_GOES_ON;
    uint64_t stated = 0;
    for (unsigned i = CRC_BYTES; i-- > 0;)
        stated = stated << 8 | footer[2 + i];
    return stated == check->crc ? DUMP_VALID : DUMP_WRONG_FOOTER;
}
