#include "net_checksum.h"
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"

uint64_t net_sum(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t sum = 0;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        sum += word;
    }
    if (len >= 2) {
        uint16_t word;
        memcpy(&word, p, 2);
        sum += word;
        p += 2;
    }
    return len & 1 ? sum + *p : sum;
}

uint64_t net_sum_chain(const struct rte_mbuf *m, uint32_t at, uint32_t len)
{
    uint64_t sum = 0;
    uint32_t done = 0;
    for (; at >= m->data_len && len > 0; m = m->next)
        at -= m->data_len;
    while (len > 0) {
        CHECK_DEBUG(m != NULL);
        uint32_t part = m->data_len - at < len ? m->data_len - at : len;
        uint16_t piece =
            net_sum_fold(net_sum(rte_pktmbuf_mtod_offset(m, const uint8_t *, at), part));
        /* Bytes at odd positions of the whole stand in the other half of their word. */
        sum += done & 1 ? __builtin_bswap16(piece) : piece;
        done += part;
        len -= part;
        at = 0;
        m = m->next;
    }
    return sum;
}

uint64_t net_sum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                        uint32_t l4_len)
{
    uint64_t sum = (uint64_t)__builtin_bswap16(proto) + __builtin_bswap32(l4_len);
    if (ip_addr_is4(src))
        return sum + src->w[3] + dst->w[3];
    return sum + net_sum(src->b, 16) + net_sum(dst->b, 16);
}
