/* SYN cookies (RFC 4987, 3.6): the SYN-ACK's sequence number carries what a half-open connection
 * would remember, authenticated, so that a flood costs no memory.
 *
 *   bits 31..27  number of the period, low bits
 *   bits 26..24  index of the MSS
 *   bits 23..0   keyed hash of the tuple, the peer's sequence number, the period and the index
 *
 * With timestamps the low six bits of our TSval, which the peer echoes, hold the window scale
 * (15: none) and whether SACK was offered; without timestamps both are off. */
#include <string.h>
#include "tcp_engine.h"
#include "tcp_isn.h"

#define SCALE_NONE 15u
#define TS_BITS 6
#define TS_SACK 16u

static const uint16_t mss_steps[8] = {216, 536, 1000, 1220, 1360, 1440, 1460, 8940};

static uint32_t period_now(const struct tcp *t)
{
    return (uint32_t)(t->now_ms / TCP_COOKIE_PERIOD_MS);
}

static uint32_t cookie_make(const struct tcp *t, const struct flow_tuple *tuple, uint32_t irs,
                            uint32_t period, uint32_t mss_index)
{
    uint64_t extra = (uint64_t)irs << 32 | (period << 3 & 0xffffffffu) | mss_index;
    uint32_t mac = (uint32_t)tcp_tuple_hash(t->config.secret, TCP_HASH_COOKIE, tuple, extra);
    return (period & 31) << 27 | mss_index << 24 | (mac & 0xffffff);
}

/* The largest step that the peer can take. */
static uint32_t mss_index_for(uint32_t mss)
{
    uint32_t index = 0;
    while (index + 1 < count_of(mss_steps) && mss_steps[index + 1] <= mss)
        index++;
    return index;
}

/* The timestamp clock, its low bits replaced; never ahead of the clock. */
static uint32_t ts_with_bits(const struct tcp *t, const struct flow_tuple *tuple, uint32_t bits)
{
    uint32_t now = now_ms32(t) + tcp_ts_offset(t, tuple);
    uint32_t ts = (now & ~((1u << TS_BITS) - 1)) | bits;
    return seq_lt(now, ts) ? ts - (1u << TS_BITS) : ts;
}

static uint32_t options_put(const struct tcp *t, const struct tcp_segment *s,
                            const struct flow_tuple *tuple, uint8_t *p)
{
    const struct tcp_options *o = &s->options;
    uint32_t len = (uint32_t)tcp_options_put_mss(p, tcp_mss_ours(t, &tuple->remote));
    if (!o->has_ts)
        return len;
    uint32_t bits = (o->has_scale ? o->scale : SCALE_NONE) | (o->sack_permitted ? TS_SACK : 0);
    if (o->sack_permitted)
        len += (uint32_t)tcp_options_put_sack_permitted(p + len);
    len += (uint32_t)tcp_options_put_ts(p + len, ts_with_bits(t, tuple, bits), o->ts_val);
    if (o->has_scale)
        len += (uint32_t)tcp_options_put_scale(p + len, TCP_RX_SCALE);
    return len;
}

void tcp_cookie_send(struct tcp *t, const struct tcp_segment *s)
{
    struct flow_tuple tuple;
    tcp_segment_tuple(s, &tuple);
    uint32_t mss = s->options.has_mss ? s->options.mss : TCP_MSS_DEFAULT;
    uint8_t options[TCP_OPTIONS_MAX];
    struct tcp_bare b = {.src = &tuple.local,
                         .dst = &tuple.remote,
                         .src_port = tuple.local_port,
                         .dst_port = tuple.remote_port,
                         .seq = cookie_make(t, &tuple, s->seq, period_now(t), mss_index_for(mss)),
                         .ack = s->seq + 1,
                         .window = UINT16_MAX,
                         .flags = FLAG_SYN | FLAG_ACK,
                         .options = options};
    b.options_len = (uint8_t)options_put(t, s, &tuple, options);
    struct net_path path = {.mac_from_peer = true};
    memcpy(path.next_hop_mac, s->packet->src_mac, sizeof(path.next_hop_mac));
    tcp_emit_bare(t, &b, &path);
    t->cookie_sent_ms = t->now_ms;
    t->stats.syn_cookies_sent++;
}

/* The period whose low bits the cookie has, if it is this one or the last. */
static bool period_of(const struct tcp *t, uint32_t cookie, uint32_t *period)
{
    uint32_t now = period_now(t);
    uint32_t age = (now - (cookie >> 27)) & 31;
    *period = now - age;
    return age <= 1;
}

static void options_restore(const struct tcp_segment *s, uint32_t mss, struct tcp_options *o)
{
    memset(o, 0, sizeof(*o));
    o->has_mss = true;
    o->mss = (uint16_t)mss;
    if (!s->options.has_ts)
        return;
    uint32_t bits = s->options.ts_ecr & ((1u << TS_BITS) - 1);
    o->has_ts = true;
    o->ts_val = s->options.ts_val;
    o->sack_permitted = (bits & TS_SACK) != 0;
    o->scale = bits & 15;
    o->has_scale = o->scale != SCALE_NONE;
    if (!o->has_scale)
        o->scale = 0;
}

bool tcp_cookie_check(struct tcp *t, const struct tcp_segment *s, struct tcp_options *o)
{
    if (t->cookie_sent_ms == 0 || t->now_ms - t->cookie_sent_ms > TCP_COOKIE_RECENT_MS)
        return false;
    struct flow_tuple tuple;
    tcp_segment_tuple(s, &tuple);
    uint32_t cookie = s->ack - 1, period;
    uint32_t mss_index = cookie >> 24 & 7;
    if (!period_of(t, cookie, &period) ||
        cookie != cookie_make(t, &tuple, s->seq - 1, period, mss_index)) {
        t->stats.syn_cookies_bad++;
        return false;
    }
    options_restore(s, mss_steps[mss_index], o);
    t->stats.syn_cookies_good++;
    return true;
}
