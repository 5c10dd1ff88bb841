/* ICMPv6 (RFC 4443, 8201): echo, errors about our TCP segments, and the way to neighbour discovery.
 */
#include <netinet/in.h>
#include <string.h>
#include <rte_mbuf.h>
#include "icmp_reply.h"
#include "net_buf.h"
#include "net_checksum.h"
#include "net_output.h"
#include "net_wire.h"

#define QUOTED_LEN (40u + 8u)
#define ND_LEN_MAX 512u /* neighbour discovery messages above this are not looked at */
#define MTU_FLOOR 1280u /* no IPv6 link has less (RFC 8200, 5) */
#define QUOTE_MAX 1200u /* the error stays below the minimum MTU */

enum { CODE_PORT = 4, CODE_NEXT_HEADER = 1 };

static void echo(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    if (p->group || ip_addr_is_zero(&p->l4.src)) {
        n->stats->rx_icmp_ignored++;
        net_buf_drop(m);
        return;
    }
    if (!token_bucket_take(&n->limits->echo, n->now_us)) {
        n->stats->tx_icmp_limited++;
        net_buf_drop(m);
        return;
    }
    m = icmp_reply_begin(n, m, p);
    if (m == NULL)
        return;
    n->stats->rx_icmp_echo++;
    /* Whatever stood between the headers does not go back. */
    uint32_t header_end = WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_ip6);
    uint32_t extra = p->l4_at - header_end;
    memmove(rte_pktmbuf_mtod_offset(m, uint8_t *, extra), rte_pktmbuf_mtod(m, uint8_t *),
            header_end);
    net_buf_skip(m, extra);
    struct ip6_send s = {.src = &p->l4.dst,
                         .dst = &p->l4.src,
                         .proto = IPPROTO_ICMPV6,
                         .hop_limit = 64,
                         .l4_len = p->l4_len};
    ip6_header_put(rte_pktmbuf_mtod_offset(m, uint8_t *, WIRE_ETH_LEN), &s);
    icmp_reply_send(n, m, header_end, WIRE_ICMP6_ECHO_REPLY);
}

static bool classify(const struct netif *n, const struct wire_icmp *icmp, struct icmp_error *e)
{
    e->kind = ICMP_SOFT;
    if ((icmp->type == WIRE_ICMP6_UNREACHABLE && icmp->code == CODE_PORT) ||
        (icmp->type == WIRE_ICMP6_PARAMETER && icmp->code == CODE_NEXT_HEADER))
        e->kind = ICMP_UNREACHABLE_HARD;
    if (icmp->type != WIRE_ICMP6_TOO_BIG)
        return true;
    uint32_t mtu = wire32(icmp->rest);
    e->kind = ICMP_TOO_BIG;
    e->mtu = mtu < MTU_FLOOR ? MTU_FLOOR : mtu;
    return e->mtu < n->config.mtu;
}

static bool error(struct netif *n, const struct rte_mbuf *m, const struct ip_packet *p)
{
    if (p->l4_len < WIRE_ICMP_LEN + QUOTED_LEN)
        return false;
    const struct wire_icmp *icmp = rte_pktmbuf_mtod_offset(m, const struct wire_icmp *, p->l4_at);
    const struct wire_ip6 *quoted = (const void *)(icmp + 1);
    struct ip_addr addr[2];
    struct icmp_error e = {0};
    memcpy(addr[0].b, quoted->src, 16);
    memcpy(addr[1].b, quoted->dst, 16);
    if ((quoted->version_class_flow & wire32(0xfu << 28)) != wire32(6u << 28) ||
        quoted->proto != IPPROTO_TCP || ip_addr_is4(&addr[0]) || ip_addr_is4(&addr[1]) ||
        !netif_is_local(n, &addr[0]) || !classify(n, icmp, &e))
        return false;
    uint32_t ports_at = p->l4_at + WIRE_ICMP_LEN + (uint32_t)sizeof *quoted;
    icmp_error_deliver(n, m, ports_at, addr, &e);
    return true;
}

static bool checksum_good(const struct rte_mbuf *m, const struct ip_packet *p)
{
    uint64_t sum = net_sum_pseudo(&p->l4.src, &p->l4.dst, IPPROTO_ICMPV6, p->l4_len);
    return net_sum_fold(sum + net_sum_chain(m, p->l4_at, p->l4_len)) == 0xffff;
}

/* Messages that are no errors and no echo. */
static void other(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p, uint8_t type)
{
    if (type == WIRE_ICMP6_MLD_QUERY) {
        mld_input(n, m, p);
        return;
    }
    n->stats->rx_icmp_ignored++;
    net_buf_drop(m);
}

static void neighbour_discovery(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    if (p->l4_len > ND_LEN_MAX) {
        n->stats->rx_nd_bad++;
        net_buf_drop(m);
        return;
    }
    m = net_buf_pull(n, m, p->l4_at + p->l4_len);
    if (m != NULL)
        ndp_input(n, m, p);
}

void icmp6_input(struct netif *n, struct rte_mbuf *m, struct ip_packet *p)
{
    if (p->l4_len < WIRE_ICMP_LEN || !checksum_good(m, p)) {
        n->stats->rx_icmp_bad++;
        net_buf_drop(m);
        return;
    }
    m = net_buf_pull(n, m, p->l4_at + WIRE_ICMP_LEN + QUOTED_LEN);
    if (m == NULL)
        return;
    const struct wire_icmp *icmp = rte_pktmbuf_mtod_offset(m, const struct wire_icmp *, p->l4_at);
    uint8_t type = icmp->type;
    if (type == WIRE_ICMP6_SOLICITATION || type == WIRE_ICMP6_ADVERTISEMENT) {
        neighbour_discovery(n, m, p);
    } else if (type == WIRE_ICMP6_ECHO) {
        echo(n, m, p);
    } else if (wire_icmp6_is_error(type)) {
        if (p->group || !error(n, m, p))
            n->stats->rx_icmp_bad++;
        net_buf_drop(m);
    } else {
        other(n, m, p, type);
    }
}

void icmp6_protocol_unreachable(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    uint32_t header_end = WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_ip6);
    /* The pointer says where the unknown number stands: easy without extension headers; with them
     * nobody gets an answer. */
    if (p->l4_at != header_end)
        return;
    if (!token_bucket_take(&n->limits->errors, n->now_us)) {
        n->stats->tx_icmp_limited++;
        return;
    }
    uint32_t quoted_len = m->pkt_len - WIRE_ETH_LEN;
    if (quoted_len > QUOTE_MAX)
        quoted_len = QUOTE_MAX;
    uint32_t icmp_len = WIRE_ICMP_LEN + quoted_len;
    struct rte_mbuf *reply = net_buf_new(n, header_end + icmp_len);
    if (reply == NULL)
        return;
    struct ip6_send s = {.src = &p->l4.dst,
                         .dst = &p->l4.src,
                         .proto = IPPROTO_ICMPV6,
                         .hop_limit = 64,
                         .l4_len = icmp_len};
    uint8_t *ip =
        eth_header_put(n, rte_pktmbuf_mtod(reply, uint8_t *), p->l4.src_mac, WIRE_TYPE_IP6);
    struct wire_icmp *icmp = (void *)ip6_header_put(ip, &s);
    *icmp = (struct wire_icmp){
        .type = WIRE_ICMP6_PARAMETER, .code = CODE_NEXT_HEADER, .rest = wire32(6)};
    uint8_t *quote = (uint8_t *)(icmp + 1);
    const uint8_t *from = rte_pktmbuf_read(m, WIRE_ETH_LEN, quoted_len, quote);
    if (from != quote)
        memcpy(quote, from, quoted_len);
    icmp6_checksum_put((uint8_t *)icmp, icmp_len, &p->l4.dst, &p->l4.src);
    net_send(n, reply);
}
