/* ICMP (RFC 792, 1122, 1191): echo, and errors about our TCP segments. Redirects are ignored. */
#include <netinet/in.h>
#include <string.h>
#include <rte_mbuf.h>
#include "icmp_reply.h"
#include "net_buf.h"
#include "net_checksum.h"
#include "net_output.h"
#include "net_wire.h"

#define QUOTED_LEN (20u + 8u) /* what an error must quote: the IP header and 64 bits */
#define MTU_FLOOR 576u        /* a forged "too big" costs us no more than this (RFC 5927, 7.2) */

enum { CODE_PROTOCOL = 2, CODE_PORT = 3, CODE_TOO_BIG = 4 };

static void echo(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    if (!token_bucket_take(&n->limits->echo, n->now_us)) {
        n->stats->tx_icmp_limited++;
        net_buf_drop(m);
        return;
    }
    m = icmp_reply_begin(n, m, p);
    if (m == NULL)
        return;
    n->stats->rx_icmp_echo++;
    uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, WIRE_ETH_LEN);
    ip4_header_put(n, ip, p->l4.src.w[3], p->l4_len);
    icmp_reply_send(n, m, p->l4_at, WIRE_ICMP4_ECHO_REPLY);
}

/* Routers older than RFC 1191 give no MTU: the next common one below what was too big. */
static uint32_t mtu_plateau(uint32_t too_big)
{
    static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006};
    for (unsigned i = 0; i < sizeof plateau / sizeof plateau[0]; i++) {
        if (plateau[i] < too_big)
            return plateau[i];
    }
    return MTU_FLOOR;
}

static bool classify(const struct netif *n, const struct wire_icmp *icmp, uint32_t quoted_total,
                     struct icmp_error *e)
{
    e->kind = ICMP_SOFT;
    if (icmp->type != WIRE_ICMP4_UNREACHABLE)
        return true;
    if (icmp->code == CODE_PROTOCOL || icmp->code == CODE_PORT)
        e->kind = ICMP_UNREACHABLE_HARD;
    if (icmp->code != CODE_TOO_BIG)
        return true;
    uint32_t mtu = wire32(icmp->rest) & 0xffff;
    if (mtu == 0)
        mtu = mtu_plateau(quoted_total);
    e->kind = ICMP_TOO_BIG;
    e->mtu = mtu < MTU_FLOOR ? MTU_FLOOR : mtu;
    return e->mtu < n->config.mtu;
}

static bool error(struct netif *n, const struct rte_mbuf *m, const struct ip_packet *p)
{
    uint32_t quote_at = p->l4_at + WIRE_ICMP_LEN;
    if (p->l4_len < WIRE_ICMP_LEN + QUOTED_LEN)
        return false;
    const struct wire_icmp *icmp = rte_pktmbuf_mtod_offset(m, const struct wire_icmp *, p->l4_at);
    const struct wire_ip4 *quoted = (const void *)(icmp + 1);
    struct icmp_error e = {0};
    if (quoted->version_ihl != 0x45 || quoted->proto != IPPROTO_TCP ||
        (quoted->fragment & wire16(0x1fff)) != 0 || quoted->src != n->config.ip4.w[3] ||
        !classify(n, icmp, wire16(quoted->total_len), &e))
        return false;
    struct ip_addr addr[2] = {ip_addr_from4(quoted->src), ip_addr_from4(quoted->dst)};
    icmp_error_deliver(n, m, quote_at + (uint32_t)sizeof *quoted, addr, &e);
    return true;
}

void icmp4_input(struct netif *n, struct rte_mbuf *m, struct ip_packet *p)
{
    if (p->l4_len < WIRE_ICMP_LEN ||
        net_sum_fold(net_sum_chain(m, p->l4_at, p->l4_len)) != 0xffff) {
        n->stats->rx_icmp_bad++;
        net_buf_drop(m);
        return;
    }
    m = net_buf_pull(n, m, p->l4_at + WIRE_ICMP_LEN + QUOTED_LEN);
    if (m == NULL)
        return;
    const struct wire_icmp *icmp = rte_pktmbuf_mtod_offset(m, const struct wire_icmp *, p->l4_at);
    if (icmp->type == WIRE_ICMP4_ECHO && icmp->code == 0) {
        echo(n, m, p);
        return;
    }
    if (!wire_icmp4_is_error(icmp->type))
        n->stats->rx_icmp_ignored++;
    else if (!error(n, m, p))
        n->stats->rx_icmp_bad++;
    net_buf_drop(m);
}

void icmp4_protocol_unreachable(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    uint32_t quoted_len = p->l4_len < 8 ? 20 + p->l4_len : QUOTED_LEN;
    uint32_t icmp_len = WIRE_ICMP_LEN + quoted_len;
    if (!token_bucket_take(&n->limits->errors, n->now_us)) {
        n->stats->tx_icmp_limited++;
        return;
    }
    struct rte_mbuf *reply = net_buf_new(n, p->l4_at + icmp_len);
    if (reply == NULL)
        return;
    uint8_t *ip =
        eth_header_put(n, rte_pktmbuf_mtod(reply, uint8_t *), p->l4.src_mac, WIRE_TYPE_IP4);
    struct wire_icmp *icmp = (void *)ip4_header_put(n, ip, p->l4.src.w[3], icmp_len);
    *icmp = (struct wire_icmp){.type = WIRE_ICMP4_UNREACHABLE, .code = CODE_PROTOCOL};
    uint8_t *quote = (uint8_t *)(icmp + 1);
    const uint8_t *from = rte_pktmbuf_read(m, WIRE_ETH_LEN, quoted_len, quote);
    if (from != quote)
        memcpy(quote, from, quoted_len);
    icmp->checksum = (uint16_t)~net_sum_fold(net_sum(icmp, icmp_len));
    net_send(n, reply);
}
