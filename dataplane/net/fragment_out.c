/* Replies to large echoes leave in fragments, as they came. Nothing else does: TCP keeps to the
 * MTU. */
#include <netinet/in.h>
#include <string.h>
#include <rte_mbuf.h>
#include "net_buf.h"
#include "net_checksum.h"
#include "net_output.h"
#include "net_wire.h"

#define FRAME_L3_MAX 1500u /* fits one buffer, also where the MTU is jumbo */
#define FRAGMENT_MORE 0x2000

struct wire_ip6_fragment {
    uint8_t proto, reserved;
    uint16_t offset_more;
    uint32_t id;
} __attribute__((packed));

struct cut {
    uint32_t header_len; /* of the frame that is cut: Ethernet and IP */
    uint32_t offset, len;
    uint32_t id;
    bool more;
};

/* The headers of one fragment; where its payload goes. */
static uint8_t *headers_put4(uint8_t *frame, const struct cut *c)
{
    struct wire_ip4 *ip = (void *)(frame + WIRE_ETH_LEN);
    ip->total_len = wire16((uint16_t)(sizeof *ip + c->len));
    ip->id = (uint16_t)c->id;
    ip->fragment = wire16((uint16_t)(c->offset / 8 | (c->more ? FRAGMENT_MORE : 0)));
    ip->checksum = 0;
    ip->checksum = (uint16_t)~net_sum_fold(net_sum(ip, sizeof *ip));
    return (uint8_t *)(ip + 1);
}

static uint8_t *headers_put6(uint8_t *frame, const struct cut *c)
{
    struct wire_ip6 *ip = (void *)(frame + WIRE_ETH_LEN);
    struct wire_ip6_fragment *fragment = (void *)(ip + 1);
    *fragment = (struct wire_ip6_fragment){
        .proto = ip->proto, .offset_more = wire16((uint16_t)(c->offset | c->more)), .id = c->id};
    ip->proto = IPPROTO_FRAGMENT;
    ip->payload_len = wire16((uint16_t)(sizeof *fragment + c->len));
    return (uint8_t *)(fragment + 1);
}

static bool fragment_send(struct netif *n, const struct rte_mbuf *whole, const struct cut *c,
                          bool is4)
{
    uint32_t extra = is4 ? 0 : sizeof(struct wire_ip6_fragment);
    struct rte_mbuf *m = net_buf_new(n, c->header_len + extra + c->len);
    if (m == NULL)
        return false;
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    memcpy(frame, rte_pktmbuf_mtod(whole, const uint8_t *), c->header_len);
    uint8_t *payload = is4 ? headers_put4(frame, c) : headers_put6(frame, c);
    const uint8_t *from = rte_pktmbuf_read(whole, c->header_len + c->offset, c->len, payload);
    if (from != payload)
        memcpy(payload, from, c->len);
    net_send(n, m);
    return true;
}

void net_send_in_fragments(struct netif *n, struct rte_mbuf *m, uint32_t header_len)
{
    bool is4 = header_len == WIRE_ETH_LEN + sizeof(struct wire_ip4);
    uint32_t l3_max = n->config.mtu < FRAME_L3_MAX ? n->config.mtu : FRAME_L3_MAX;
    uint32_t extra = is4 ? 0 : sizeof(struct wire_ip6_fragment);
    uint32_t step = (l3_max - (header_len - WIRE_ETH_LEN) - extra) & ~7u;
    uint32_t total = m->pkt_len - header_len;
    struct cut c = {.header_len = header_len, .id = ++n->fragment_id};
    for (; c.offset < total; c.offset += step) {
        c.more = total - c.offset > step;
        c.len = c.more ? step : total - c.offset;
        if (!fragment_send(n, m, &c, is4))
            break;
    }
    net_buf_drop(m);
}
