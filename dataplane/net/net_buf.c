#include "net_buf.h"
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "netif.h"

/* Moves bytes from the following buffers to the end of the first until it holds len. */
static void pull_in_place(struct rte_mbuf *m, uint32_t len)
{
    while (m->data_len < len) {
        struct rte_mbuf *next = m->next;
        uint32_t missing = len - m->data_len;
        uint16_t part = (uint16_t)(next->data_len < missing ? next->data_len : missing);
        memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len),
               rte_pktmbuf_mtod(next, uint8_t *), part);
        m->data_len = (uint16_t)(m->data_len + part);
        next->data_off = (uint16_t)(next->data_off + part);
        next->data_len = (uint16_t)(next->data_len - part);
        if (next->data_len == 0) {
            m->next = next->next;
            m->nb_segs--;
            next->next = NULL;
            next->nb_segs = 1;
            rte_pktmbuf_free_seg(next);
        }
    }
}

static bool is_own(const struct rte_mbuf *m)
{
    return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
}

static struct rte_mbuf *copy_of(struct netif *n, struct rte_mbuf *m)
{
    struct rte_mbuf *copy = rte_pktmbuf_copy(m, n->queue->pool, 0, UINT32_MAX);
    rte_pktmbuf_free(m);
    if (copy == NULL)
        n->stats->mbuf_failures++;
    return copy;
}

struct rte_mbuf *net_buf_pull(struct netif *n, struct rte_mbuf *m, uint32_t len)
{
    if (len > m->pkt_len)
        len = m->pkt_len;
    if (likely(m->data_len >= len))
        return m;
    if (is_own(m) && rte_pktmbuf_tailroom(m) >= len - m->data_len) {
        pull_in_place(m, len);
        return m;
    }
    m = copy_of(n, m);
    CHECK(m == NULL || m->data_len >= len);
    return m;
}

struct rte_mbuf *net_buf_own(struct netif *n, struct rte_mbuf *m, uint32_t len)
{
    if (!is_own(m))
        m = copy_of(n, m);
    return m == NULL ? NULL : net_buf_pull(n, m, len);
}

void net_buf_trim(struct rte_mbuf *m, uint32_t len)
{
    struct rte_mbuf *last = m;
    uint16_t kept = 1;
    CHECK_DEBUG(len <= m->pkt_len);
    m->pkt_len = len;
    while (len > last->data_len) {
        len -= last->data_len;
        last = last->next;
        kept++;
    }
    last->data_len = (uint16_t)len;
    if (last->next != NULL) {
        rte_pktmbuf_free(last->next);
        last->next = NULL;
        m->nb_segs = kept;
    }
}

void net_buf_skip(struct rte_mbuf *m, uint32_t len)
{
    CHECK_DEBUG(len <= m->data_len);
    m->data_off = (uint16_t)(m->data_off + len);
    m->data_len = (uint16_t)(m->data_len - len);
    m->pkt_len -= len;
}

struct rte_mbuf *net_buf_new(struct netif *n, uint32_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(n->queue->pool);
    if (m == NULL) {
        n->stats->mbuf_failures++;
        return NULL;
    }
    CHECK(rte_pktmbuf_tailroom(m) >= len);
    m->data_len = (uint16_t)len;
    m->pkt_len = len;
    return m;
}

void net_buf_drop(struct rte_mbuf *m)
{
    rte_pktmbuf_free(m);
}
