#include "tcp_ooo.h"
#include <stdlib.h>
#include <string.h>
#include "tcp_engine.h"

static void account(struct tcp *t, struct tcp_ooo *o, int32_t bytes, int32_t mbufs)
{
    o->bytes += (uint32_t)bytes;
    o->mbufs += (uint32_t)mbufs;
    t->rx_bytes += (uint64_t)(int64_t)bytes;
    t->rx_mbufs += (uint32_t)mbufs;
}

static void chain_free(struct rte_mbuf *m)
{
    while (m) {
        struct rte_mbuf *next = m->next;
        rte_pktmbuf_free_seg(m);
        m = next;
    }
}

/* Forgets a run; its mbufs are the caller's. */
static void run_drop(struct tcp *t, struct tcp_ooo *o, uint32_t index)
{
    struct tcp_ooo_run *r = &o->run[index];
    account(t, o, -(int32_t)(r->right - r->left), -(int32_t)r->mbufs);
    o->count--;
    memmove(r, r + 1, (o->count - index) * sizeof(*r));
}

static void ooo_free_if_empty(struct tcp_conn *c)
{
    if (c->ooo && c->ooo->count == 0) {
        free(c->ooo);
        c->ooo = NULL;
    }
}

/* RFC 2018, 4: the block that this segment joined comes first, then those reported last. */
static void recent_push(struct tcp_ooo *o, uint32_t left, uint32_t right)
{
    struct tcp_block kept[TCP_SACK_BLOCKS_MAX] = {{left, right}};
    uint32_t count = 1;
    for (uint32_t i = 0; i < o->recent_count && count < TCP_SACK_BLOCKS_MAX; i++)
        if (seq_lt(right, o->recent[i].left) || seq_lt(o->recent[i].right, left))
            kept[count++] = o->recent[i];
    memcpy(o->recent, kept, sizeof(kept));
    o->recent_count = count;
}

static void recent_advance(struct tcp_ooo *o, uint32_t rcv_nxt)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->recent_count; i++)
        if (seq_lt(rcv_nxt, o->recent[i].left))
            o->recent[count++] = o->recent[i];
    o->recent_count = count;
}

static bool ooo_admit(const struct tcp *t, const struct tcp_ooo *o, const struct tcp_segment *s)
{
    uint64_t bytes_max = t->config.rx_memory_bytes / TCP_OOO_SHARE_DEN * TCP_OOO_SHARE_NUM;
    uint32_t mbufs_max = t->rx_mbufs_max / TCP_OOO_SHARE_DEN * TCP_OOO_SHARE_NUM;
    return t->rx_bytes + s->len <= bytes_max && t->rx_mbufs + s->m->nb_segs <= mbufs_max &&
           o->mbufs + s->m->nb_segs <= TCP_OOO_MBUFS_MAX;
}

/* Cuts from the segment what is here already, drops runs that it covers whole. The index of the run
 * that comes after it; -1: nothing new is left. */
static int trim_against_runs(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    struct tcp_ooo *o = c->ooo;
    uint32_t i = 0;
    while (i < o->count && seq_leq(o->run[i].right, s->seq))
        i++;
    if (i < o->count && seq_leq(o->run[i].left, s->seq)) {
        uint32_t dup_end = seq_min(o->run[i].right, s->seq + s->len);
        tcp_rx_duplicate(t, c, s->seq, dup_end);
        uint32_t dup = dup_end - s->seq;
        if (dup == s->len)
            return -1;
        s->m = tcp_rx_trim_front(s->m, dup);
        s->seq += dup;
        s->len -= dup;
        i++;
    }
    while (i < o->count && seq_leq(o->run[i].right, s->seq + s->len)) {
        tcp_rx_duplicate(t, c, o->run[i].left, o->run[i].right);
        struct rte_mbuf *old = o->run[i].head;
        run_drop(t, o, i);
        chain_free(old);
    }
    if (i < o->count && seq_lt(o->run[i].left, s->seq + s->len)) {
        tcp_rx_duplicate(t, c, o->run[i].left, s->seq + s->len);
        s->len = o->run[i].left - s->seq;
        tcp_rx_trim_to(s->m, s->len);
    }
    return (int)i;
}

/* Joins run index + 1 to run index when they touch. */
static void run_join_next(struct tcp_ooo *o, uint32_t index)
{
    if (index + 1 >= o->count || o->run[index].right != o->run[index + 1].left)
        return;
    struct tcp_ooo_run *a = &o->run[index], *b = a + 1;
    a->right = b->right;
    a->tail->next = b->head;
    a->tail = b->tail;
    a->mbufs += b->mbufs;
    o->count--;
    memmove(b, b + 1, (o->count - index - 1) * sizeof(*b));
}

static void run_append(struct tcp *t, struct tcp_ooo *o, struct tcp_ooo_run *r,
                       struct tcp_segment *s)
{
    uint32_t mbufs = s->m->nb_segs;
    r->right += s->len;
    if (mbufs == 1 && tcp_rx_coalesce(r->tail, s->m)) {
        account(t, o, (int32_t)s->len, 0);
        return;
    }
    r->tail->next = s->m;
    r->tail = rte_pktmbuf_lastseg(s->m);
    r->mbufs += mbufs;
    account(t, o, (int32_t)s->len, (int32_t)mbufs);
}

static void run_insert(struct tcp *t, struct tcp_ooo *o, uint32_t index, struct tcp_segment *s)
{
    struct tcp_ooo_run *r = &o->run[index];
    memmove(r + 1, r, (o->count - index) * sizeof(*r));
    o->count++;
    *r = (struct tcp_ooo_run){.left = s->seq,
                              .right = s->seq + s->len,
                              .mbufs = s->m->nb_segs,
                              .head = s->m,
                              .tail = rte_pktmbuf_lastseg(s->m)};
    account(t, o, (int32_t)s->len, (int32_t)r->mbufs);
}

/* Room for that many runs. False: no memory, nothing has changed. */
static bool ooo_resize(struct tcp_conn *c, uint32_t capacity)
{
    struct tcp_ooo *o = realloc(c->ooo, sizeof(*o) + capacity * sizeof(o->run[0]));
    if (!o)
        return false;
    if (!c->ooo)
        o->count = o->bytes = o->mbufs = o->recent_count = 0;
    o->capacity = capacity;
    c->ooo = o;
    return true;
}

static bool room_for_run(struct tcp_conn *c)
{
    if (c->ooo->count < c->ooo->capacity)
        return true;
    return c->ooo->count < TCP_OOO_RUNS_MAX && ooo_resize(c, 2 * c->ooo->capacity);
}

/* The segment lies between run next - 1 and run next. False: no room for another run. */
static bool place(struct tcp *t, struct tcp_conn *c, uint32_t next, struct tcp_segment *s)
{
    uint32_t index = next;
    if (next > 0 && c->ooo->run[next - 1].right == s->seq) {
        index = next - 1;
        run_append(t, c->ooo, &c->ooo->run[index], s);
    } else if (room_for_run(c)) {
        run_insert(t, c->ooo, next, s);
    } else {
        return false;
    }
    struct tcp_ooo *o = c->ooo;
    run_join_next(o, index);
    recent_push(o, o->run[index].left, o->run[index].right);
    return true;
}

void tcp_ooo_add(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    t->stats.out_of_order_in++;
    bool kept = false;
    if ((c->ooo || ooo_resize(c, TCP_OOO_RUNS_FIRST)) && ooo_admit(t, c->ooo, s)) {
        int next = trim_against_runs(t, c, s);
        kept = next >= 0 && place(t, c, (uint32_t)next, s);
        t->stats.ooo_drops += next >= 0 && !kept;
    } else {
        t->stats.ooo_drops++;
    }
    if (!kept)
        rte_pktmbuf_free(s->m);
    s->m = NULL;
    ooo_free_if_empty(c);
}

struct rte_mbuf *tcp_ooo_take(struct tcp *t, struct tcp_conn *c, uint32_t *len, uint32_t *mbufs)
{
    struct tcp_ooo *o = c->ooo;
    struct rte_mbuf *head = NULL;
    while (o->count && !head && seq_leq(o->run[0].left, c->rcv_nxt)) {
        struct tcp_ooo_run r = o->run[0];
        run_drop(t, o, 0);
        if (seq_leq(r.right, c->rcv_nxt)) {
            chain_free(r.head);
            continue;
        }
        uint32_t dup = c->rcv_nxt - r.left;
        r.head->nb_segs = (uint16_t)r.mbufs;
        head = dup ? tcp_rx_trim_front(r.head, dup) : r.head;
        *len = r.right - c->rcv_nxt;
        *mbufs = head->nb_segs;
    }
    recent_advance(o, c->rcv_nxt + (head ? *len : 0));
    ooo_free_if_empty(c);
    return head;
}

void tcp_ooo_clear(struct tcp *t, struct tcp_conn *c)
{
    if (!c->ooo)
        return;
    while (c->ooo->count) {
        struct rte_mbuf *head = c->ooo->run[0].head;
        run_drop(t, c->ooo, 0);
        chain_free(head);
    }
    ooo_free_if_empty(c);
}

uint32_t tcp_ooo_bytes(const struct tcp_conn *c)
{
    return c->ooo ? c->ooo->bytes : 0;
}

uint32_t tcp_ooo_blocks(const struct tcp_conn *c, struct tcp_block *blocks, uint32_t max)
{
    if (!c->ooo)
        return 0;
    uint32_t count = c->ooo->recent_count < max ? c->ooo->recent_count : max;
    memcpy(blocks, c->ooo->recent, count * sizeof(*blocks));
    return count;
}

void tcp_ooo_validate(const struct tcp_conn *c, uint32_t *bytes, uint32_t *mbufs)
{
    *bytes = *mbufs = 0;
    if (!c->ooo)
        return;
    const struct tcp_ooo *o = c->ooo;
    CHECK(o->count > 0);
    CHECK(o->count <= TCP_OOO_RUNS_MAX);
    for (uint32_t i = 0; i < o->count; i++) {
        const struct tcp_ooo_run *r = &o->run[i];
        CHECK(seq_lt(i ? r[-1].right : c->rcv_nxt, r->left));
        CHECK(seq_lt(r->left, r->right));
        uint32_t len = 0, count = 0;
        for (const struct rte_mbuf *m = r->head; m; m = m->next, count++) {
            len += m->data_len;
            CHECK(m->next || m == r->tail);
        }
        CHECK(len == r->right - r->left);
        CHECK(count == r->mbufs);
        *bytes += len;
        *mbufs += count;
    }
    CHECK(*bytes == o->bytes);
    CHECK(*mbufs == o->mbufs);
}
