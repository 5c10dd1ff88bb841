#include "reassembly.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "net_buf.h"
#include "netif.h"

#define TCP_HEADER_MIN 20

struct piece {
    uint32_t offset, len, payload_at;
    struct rte_mbuf *m;
};

struct datagram {
    struct ip_addr src, dst;
    uint32_t id;
    uint8_t key_proto;
    bool used;
    bool refused; /* an overlap or too many: what else comes is dropped until the time is over */
    uint16_t count;
    uint32_t total_len; /* of the payload, 0: the last fragment is still missing */
    uint32_t have_len;
    uint64_t started_us;
    struct piece piece[REASSEMBLY_FRAGMENTS_MAX]; /* ascending, without overlap */
};

struct reassembly {
    uint32_t mbufs, bytes;
    uint32_t used;
    uint64_t due_us;
    struct datagram datagram[REASSEMBLY_DATAGRAMS_MAX];
};

struct reassembly *reassembly_new(void)
{
    struct reassembly *r = calloc(1, sizeof *r);
    if (r != NULL)
        r->due_us = UINT64_MAX;
    return r;
}

/* Frees what the datagram holds; it stays as refused or is given back by the caller. */
static void pieces_drop(struct reassembly *r, struct datagram *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        r->mbufs -= d->piece[i].m->nb_segs;
        r->bytes -= d->piece[i].len;
        rte_pktmbuf_free(d->piece[i].m);
    }
    d->count = 0;
    d->have_len = 0;
}

void reassembly_free(struct reassembly *r)
{
    for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS_MAX; i++)
        pieces_drop(r, &r->datagram[i]);
    free(r);
}

static void due_refresh(struct reassembly *r)
{
    r->due_us = UINT64_MAX;
    for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS_MAX; i++) {
        const struct datagram *d = &r->datagram[i];
        if (d->used && d->started_us + REASSEMBLY_TIME_US < r->due_us)
            r->due_us = d->started_us + REASSEMBLY_TIME_US;
    }
}

static void datagram_end(struct reassembly *r, struct datagram *d)
{
    d->used = false;
    r->used--;
    due_refresh(r);
}

static void datagram_drop(struct netif *n, struct datagram *d)
{
    n->stats->rx_fragment_drops += d->count;
    pieces_drop(n->reassembly, d);
}

static struct datagram *oldest(struct reassembly *r)
{
    struct datagram *found = NULL;
    for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS_MAX; i++) {
        struct datagram *d = &r->datagram[i];
        if (d->used && (found == NULL || d->started_us < found->started_us))
            found = d;
    }
    return found;
}

static bool is_of(const struct datagram *d, const struct fragment *f)
{
    return d->used && d->id == f->id && d->key_proto == f->key_proto &&
           ip_addr_equal(&d->src, &f->src) && ip_addr_equal(&d->dst, &f->dst);
}

static struct datagram *datagram_for(struct netif *n, const struct fragment *f)
{
    struct reassembly *r = n->reassembly;
    struct datagram *unused = NULL;
    for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS_MAX; i++) {
        if (is_of(&r->datagram[i], f))
            return &r->datagram[i];
        if (!r->datagram[i].used)
            unused = &r->datagram[i];
    }
    if (unused == NULL) {
        unused = oldest(r);
        datagram_drop(n, unused);
        datagram_end(r, unused);
    }
    unused->src = f->src;
    unused->dst = f->dst;
    unused->id = f->id;
    unused->key_proto = f->key_proto;
    unused->used = true;
    unused->refused = false;
    unused->total_len = 0;
    unused->started_us = n->now_us;
    r->used++;
    due_refresh(r);
    return unused;
}

static bool fragment_valid(const struct fragment *f)
{
    if (f->payload_len == 0 || f->offset + f->payload_len > UINT16_MAX - 20)
        return false;
    if (f->more && f->payload_len % 8 != 0)
        return false;
    if (f->proto != IPPROTO_TCP)
        return true;
    /* The whole TCP header in the first one, and no other may write over it. */
    return f->offset == 0 ? f->payload_len >= TCP_HEADER_MIN : f->offset >= TCP_HEADER_MIN;
}

enum fit { FIT_PLACE, FIT_DUPLICATE, FIT_CONFLICT };

/* Where the fragment belongs among the pieces. */
static enum fit fit(const struct datagram *d, const struct fragment *f, unsigned *place)
{
    uint32_t end = f->offset + f->payload_len;
    unsigned i = 0;
    while (i < d->count && d->piece[i].offset < f->offset)
        i++;
    *place = i;
    if (i < d->count && d->piece[i].offset == f->offset && d->piece[i].len == f->payload_len)
        return FIT_DUPLICATE;
    if (i > 0 && d->piece[i - 1].offset + d->piece[i - 1].len > f->offset)
        return FIT_CONFLICT;
    if (i < d->count && d->piece[i].offset < end)
        return FIT_CONFLICT;
    /* Only one end, and nothing behind it. */
    if (!f->more && ((d->total_len != 0 && d->total_len != end) || i < d->count))
        return FIT_CONFLICT;
    if (d->total_len != 0 && end > d->total_len)
        return FIT_CONFLICT;
    return d->count == REASSEMBLY_FRAGMENTS_MAX ? FIT_CONFLICT : FIT_PLACE;
}

/* All pieces are there: chains them behind the first one's headers. */
static struct rte_mbuf *join(struct reassembly *r, struct datagram *d)
{
    struct rte_mbuf *head = d->piece[0].m;
    for (unsigned i = 0; i < d->count; i++) {
        r->mbufs -= d->piece[i].m->nb_segs;
        r->bytes -= d->piece[i].len;
    }
    struct rte_mbuf *last = rte_pktmbuf_lastseg(head);
    for (unsigned i = 1; i < d->count; i++) {
        struct rte_mbuf *m = d->piece[i].m;
        net_buf_skip(m, d->piece[i].payload_at);
        last->next = m;
        last = rte_pktmbuf_lastseg(m);
        head->nb_segs = (uint16_t)(head->nb_segs + m->nb_segs);
        head->pkt_len += m->pkt_len;
    }
    d->count = 0;
    d->have_len = 0;
    datagram_end(r, d);
    return head;
}

static void place_piece(struct reassembly *r, struct datagram *d, const struct fragment *f,
                        struct rte_mbuf *m, unsigned place)
{
    memmove(&d->piece[place + 1], &d->piece[place], (d->count - place) * sizeof d->piece[0]);
    d->piece[place] = (struct piece){
        .offset = f->offset, .len = f->payload_len, .payload_at = f->payload_at, .m = m};
    d->count++;
    d->have_len += f->payload_len;
    if (!f->more)
        d->total_len = f->offset + f->payload_len;
    r->mbufs += m->nb_segs;
    r->bytes += f->payload_len;
}

static void memory_bound(struct netif *n)
{
    struct reassembly *r = n->reassembly;
    while (r->mbufs > REASSEMBLY_MBUFS_MAX || r->bytes > REASSEMBLY_BYTES_MAX) {
        struct datagram *d = oldest(r);
        datagram_drop(n, d);
        datagram_end(r, d);
    }
}

struct rte_mbuf *reassembly_add(struct netif *n, struct rte_mbuf *m, const struct fragment *f)
{
    struct reassembly *r = n->reassembly;
    unsigned place;
    m = fragment_valid(f) ? net_buf_own(n, m, f->payload_at) : m;
    if (m == NULL)
        return NULL;
    if (!fragment_valid(f)) {
        n->stats->rx_fragment_drops++;
        net_buf_drop(m);
        return NULL;
    }
    struct datagram *d = datagram_for(n, f);
    enum fit how = d->refused ? FIT_DUPLICATE : fit(d, f, &place);
    if (how != FIT_PLACE) {
        if (how == FIT_CONFLICT) {
            datagram_drop(n, d);
            d->refused = true;
        }
        n->stats->rx_fragment_drops++;
        net_buf_drop(m);
        return NULL;
    }
    place_piece(r, d, f, m, place);
    if (d->total_len != 0 && d->have_len == d->total_len)
        return join(r, d);
    memory_bound(n);
    return NULL;
}

void reassembly_tick(struct netif *n)
{
    struct reassembly *r = n->reassembly;
    if (n->now_us < r->due_us)
        return;
    for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS_MAX; i++) {
        struct datagram *d = &r->datagram[i];
        if (d->used && n->now_us - d->started_us >= REASSEMBLY_TIME_US) {
            datagram_drop(n, d);
            datagram_end(r, d);
        }
    }
}

uint64_t reassembly_deadline_us(const struct reassembly *r)
{
    return r->due_us;
}

void reassembly_validate(const struct reassembly *r)
{
    uint32_t mbufs = 0, bytes = 0, used = 0;
    for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS_MAX; i++) {
        const struct datagram *d = &r->datagram[i];
        uint32_t end = 0;
        used += d->used;
        CHECK(d->count <= REASSEMBLY_FRAGMENTS_MAX);
        CHECK(d->count == 0 || (d->used && !d->refused));
        for (unsigned k = 0; k < d->count; k++) {
            CHECK(d->piece[k].offset >= end);
            end = d->piece[k].offset + d->piece[k].len;
            mbufs += d->piece[k].m->nb_segs;
            bytes += d->piece[k].len;
        }
        CHECK(d->total_len == 0 || end <= d->total_len);
    }
    CHECK(mbufs == r->mbufs && bytes == r->bytes && used == r->used);
    CHECK(mbufs <= REASSEMBLY_MBUFS_MAX && bytes <= REASSEMBLY_BYTES_MAX);
}
