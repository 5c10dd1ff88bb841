/* TIME-WAIT as a small record: it re-ACKs the peer's FIN, ignores RSTs (RFC 1337), and gives way to
 * a new SYN that cannot be an old duplicate (RFC 9293, 3.6.1; RFC 6191). */
#include <string.h>
#include "tcp_engine.h"

static void list_append(struct tcp *t, uint32_t number)
{
    struct tcp_time_wait *w = wait_at(t, number);
    w->older = t->waits_newest;
    w->newer = 0;
    if (t->waits_newest)
        wait_at(t, t->waits_newest)->newer = number;
    else
        t->waits_oldest = number;
    t->waits_newest = number;
}

static void list_remove(struct tcp *t, struct tcp_time_wait *w)
{
    if (w->older)
        wait_at(t, w->older)->newer = w->newer;
    else
        t->waits_oldest = w->newer;
    if (w->newer)
        wait_at(t, w->newer)->older = w->older;
    else
        t->waits_newest = w->older;
}

static uint32_t number_of(const struct tcp *t, const struct tcp_time_wait *w)
{
    return (uint32_t)(w - t->waits) + 1;
}

static void wait_free(struct tcp *t, struct tcp_time_wait *w)
{
    tcp_table_remove(t, &w->key);
    list_remove(t, w);
    w->key.next = t->waits_free;
    t->waits_free = number_of(t, w);
    t->stats.conns_time_wait--;
}

bool tcp_time_wait_recycle(struct tcp *t)
{
    if (t->waits_oldest == 0)
        return false;
    wait_free(t, wait_at(t, t->waits_oldest));
    t->stats.time_wait_recycled++;
    return true;
}

static struct tcp_time_wait *wait_take(struct tcp *t)
{
    if (t->stats.conns_time_wait > t->config.conns_max / 2)
        tcp_time_wait_recycle(t);
    uint32_t number = t->waits_free;
    if (number)
        t->waits_free = wait_at(t, number)->key.next;
    else
        number = ++t->waits_used;
    t->stats.conns_time_wait++;
    return wait_at(t, number);
}

static void wait_ack(struct tcp *t, struct tcp_time_wait *w)
{
    uint8_t options[TCP_OPTIONS_MAX];
    struct tcp_bare b = {.src = &w->key.local,
                         .dst = &w->key.remote,
                         .src_port = w->key.local_port,
                         .dst_port = w->key.remote_port,
                         .seq = w->snd_nxt,
                         .ack = w->rcv_nxt,
                         .window = w->window,
                         .flags = FLAG_ACK,
                         .options = options};
    if (w->ts)
        b.options_len =
            (uint8_t)tcp_options_put_ts(options, now_ms32(t) + w->ts_offset, w->ts_recent);
    tcp_emit_bare(t, &b, &w->path);
}

void tcp_time_wait_enter(struct tcp *t, struct tcp_conn *c)
{
    struct tcp_time_wait *w = wait_take(t);
    struct tcp_key key = c->key;
    uint32_t window = (c->rcv_edge - c->rcv_nxt) >> (c->flags & TCPF_SCALE ? TCP_RX_SCALE : 0);
    *w = (struct tcp_time_wait){.key = key,
                                .snd_nxt = c->snd_max,
                                .rcv_nxt = c->rcv_nxt,
                                .ts_recent = c->ts_recent,
                                .ts_offset = c->ts_offset,
                                .deadline_ms = now_ms32(t) + TCP_TIME_WAIT_MS,
                                .path = c->path,
                                .window = (uint16_t)window,
                                .ts = (c->flags & TCPF_TS) != 0};
    bool ack = c->flags & TCPF_ACK_NOW;
    tcp_conn_kill(t, c, STREAM_END_CLOSED);
    uint32_t number = number_of(t, w);
    tcp_table_insert(t, &w->key, number | TCP_NUMBER_WAIT);
    list_append(t, number);
    if (ack)
        wait_ack(t, w);
}

/* RFC 6191, 2: a larger timestamp or a larger sequence number. */
static bool syn_is_new(const struct tcp_time_wait *w, const struct tcp_segment *s)
{
    if (w->ts && s->options.has_ts && s->options.ts_val != w->ts_recent)
        return seq_lt(w->ts_recent, s->options.ts_val);
    return seq_lt(w->rcv_nxt, s->seq);
}

bool tcp_time_wait_input(struct tcp *t, struct tcp_time_wait *w, const struct tcp_segment *s,
                         uint32_t *isn_min)
{
    if (s->flags & FLAG_RST)
        return false;
    if (isn_min && (s->flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN && syn_is_new(w, s)) {
        *isn_min = w->snd_nxt + UINT16_MAX;
        t->stats.time_wait_reused++;
        wait_free(t, w);
        return true;
    }
    /* The peer's last segment again: our ACK was lost, its waiting starts anew. */
    if (s->flags & FLAG_FIN && segment_end(s) == w->rcv_nxt) {
        w->deadline_ms = now_ms32(t) + TCP_TIME_WAIT_MS;
        list_remove(t, w);
        list_append(t, number_of(t, w));
    }
    /* Bare ACKs get no answer: two sides that disagree must not ACK each other for ever. */
    if (segment_end(s) != s->seq)
        wait_ack(t, w);
    return false;
}

void tcp_time_wait_expire(struct tcp *t, uint32_t max)
{
    while (max-- && t->waits_oldest) {
        struct tcp_time_wait *w = wait_at(t, t->waits_oldest);
        if ((int32_t)(w->deadline_ms - now_ms32(t)) > 0)
            return;
        wait_free(t, w);
    }
}
