/* TCP options: RFC 9293, 3.2 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (SACK). Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_OPTIONS_MAX 40
#define TCP_SACK_BLOCKS_MAX 4

/* The first word of the usual layout: NOP, NOP, timestamps, length 10 (RFC 7323, appendix A). */
#define TCP_OPTION_TS_WORD 0x0101080au
#define TCP_OPTION_TS_LEN 12

struct tcp_block {
    uint32_t left, right;
};

struct tcp_options {
    bool has_mss, has_scale, has_ts, sack_permitted;
    uint8_t scale; /* at most 14 (RFC 7323, 2.3) */
    uint8_t sack_count;
    uint16_t mss;
    uint32_t ts_val, ts_ecr;
    struct tcp_block sack[TCP_SACK_BLOCKS_MAX];
};

/* Any bytes: options of a wrong length are skipped, parsing ends at a length that lies; the first
 * of repeated options counts. MSS, scale and SACK-permitted only with syn. */
void tcp_options_parse(const uint8_t *p, size_t len, bool syn, struct tcp_options *o);

/* Each writes at p and returns the bytes, always a multiple of four. */
size_t tcp_options_put_mss(uint8_t *p, uint16_t mss);
size_t tcp_options_put_scale(uint8_t *p, uint8_t shift);
size_t tcp_options_put_ts(uint8_t *p, uint32_t val, uint32_t ecr);
size_t tcp_options_put_sack_permitted(uint8_t *p);
size_t tcp_options_put_sack(uint8_t *p, const struct tcp_block *blocks, size_t count);
