/* Neighbour discovery (RFC 4861): solicitations and advertisements. Router advertisements and
 * redirects are ignored: addresses and gateway are configured. */
#include <string.h>
#include <rte_mbuf.h>
#include "neigh.h"
#include "net_buf.h"
#include "net_input.h"
#include "net_output.h"
#include "net_wire.h"

#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define FLAG_SOLICITED 0x40000000u
#define FLAG_OVERRIDE 0x20000000u

struct wire_nd {
    struct wire_icmp icmp; /* rest: the flags of an advertisement */
    uint8_t target[16];
    uint8_t option, option_len; /* in eights */
    uint8_t mac[6];
} __attribute__((packed));
#define ND_LEN_MIN 24u /* without option */

static const struct ip_addr all_nodes = {.b = {0xff, 2, [15] = 1}};

struct nd_send {
    uint8_t type;
    uint32_t flags;
    const struct ip_addr *target, *src, *dst;
    const uint8_t *mac;
};

static void send(struct netif *n, const struct nd_send *s)
{
    uint32_t len = sizeof(struct wire_nd);
    struct rte_mbuf *m = net_buf_new(n, WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_ip6) + len);
    if (m == NULL)
        return;
    struct ip6_send ip = {
        .src = s->src, .dst = s->dst, .proto = 58, .hop_limit = 255, .l4_len = len};
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    struct wire_nd *nd =
        (void *)ip6_header_put(eth_header_put(n, frame, s->mac, WIRE_TYPE_IP6), &ip);
    *nd = (struct wire_nd){
        .icmp = {.type = s->type, .rest = wire32(s->flags)},
        .option = s->type == WIRE_ICMP6_SOLICITATION ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC,
        .option_len = 1,
    };
    memcpy(nd->target, s->target->b, 16);
    memcpy(nd->mac, n->config.mac, 6);
    icmp6_checksum_put((uint8_t *)nd, len, s->src, s->dst);
    net_send(n, m);
}

void ndp_ask(struct netif *n, const struct ip_addr *target, const uint8_t *mac)
{
    uint8_t group_mac[6];
    struct ip_addr src, group = ip6_solicited_node(target);
    if (!netif_source_for(n, target, &src))
        src = n->link_local;
    ip6_group_mac(&group, group_mac);
    struct nd_send s = {.type = WIRE_ICMP6_SOLICITATION,
                        .target = target,
                        .src = &src,
                        .dst = mac ? target : &group,
                        .mac = mac ? mac : group_mac};
    send(n, &s);
}

static void advertise(struct netif *n, const struct ip_addr *ours, const struct ip_addr *dst,
                      const uint8_t mac[6])
{
    struct nd_send s = {.type = WIRE_ICMP6_ADVERTISEMENT,
                        .flags = FLAG_OVERRIDE | (dst->b[0] == 0xff ? 0 : FLAG_SOLICITED),
                        .target = ours,
                        .src = ours,
                        .dst = dst,
                        .mac = mac};
    send(n, &s);
}

void ndp_announce(struct netif *n)
{
    uint8_t mac[6];
    ip6_group_mac(&all_nodes, mac);
    advertise(n, &n->link_local, &all_nodes, mac);
    if (!ip_addr_is_zero(&n->config.ip6))
        advertise(n, &n->config.ip6, &all_nodes, mac);
}

/* The MAC in an option of that kind, NULL without one. False: an option of length zero or past the
 * end, which makes the whole message invalid. */
static bool find_mac(const uint8_t *options, uint32_t len, uint8_t kind, const uint8_t **mac)
{
    *mac = NULL;
    while (len > 0) {
        uint32_t option_len = len >= 2 ? options[1] * 8u : 0;
        if (option_len == 0 || option_len > len)
            return false;
        if (options[0] == kind && *mac == NULL)
            *mac = options + 2;
        options += option_len;
        len -= option_len;
    }
    return *mac == NULL || ((*mac)[0] & 1) == 0;
}

/* RFC 4861, 7.1.1 and 7.2.3. */
static bool solicitation(struct netif *n, const struct ip_packet *p, const uint8_t *nd,
                         const uint8_t *frame_src)
{
    const struct wire_nd *w = (const void *)nd;
    const uint8_t *mac;
    struct ip_addr target;
    bool nobody = ip_addr_is_zero(&p->l4.src);
    memcpy(target.b, w->target, 16);
    if (target.b[0] == 0xff ||
        !find_mac(nd + ND_LEN_MIN, p->l4_len - ND_LEN_MIN, OPTION_SOURCE_MAC, &mac) ||
        (nobody && (!p->group || mac != NULL)))
        return false;
    if (!netif_is_local(n, &target) || ip_addr_is4(&target))
        return true;
    if (nobody) {
        /* Somebody tests whether the address is free: everybody hears that it is not. */
        uint8_t group_mac[6];
        ip6_group_mac(&all_nodes, group_mac);
        advertise(n, &target, &all_nodes, group_mac);
        return true;
    }
    if (mac != NULL && route_on_link(n, &p->l4.src))
        neigh_heard(n, &p->l4.src, mac, false);
    advertise(n, &target, &p->l4.src, mac ? mac : frame_src);
    return true;
}

/* RFC 4861, 7.1.2 and 7.2.5. */
static bool advertisement(struct netif *n, const struct ip_packet *p, const uint8_t *nd,
                          const uint8_t *frame_src)
{
    const struct wire_nd *w = (const void *)nd;
    const uint8_t *mac;
    struct ip_addr target;
    bool solicited = w->icmp.rest & wire32(FLAG_SOLICITED);
    memcpy(target.b, w->target, 16);
    if (target.b[0] == 0xff || (p->group && solicited) || netif_is_local(n, &target) ||
        !find_mac(nd + ND_LEN_MIN, p->l4_len - ND_LEN_MIN, OPTION_TARGET_MAC, &mac))
        return false;
    if (mac == NULL) /* an answer to a unicast solicitation may leave it out */
        mac = frame_src;
    const struct neighbour *e = neigh_find(n->neighbours, &target);
    bool differs = e != NULL && neigh_has_mac(e) && memcmp(e->mac, mac, 6) != 0;
    if (!route_on_link(n, &target) || (differs && !(w->icmp.rest & wire32(FLAG_OVERRIDE))))
        return true;
    neigh_heard(n, &target, mac, solicited);
    /* Any other lcore may have asked, or have an entry that is now wrong. */
    if (n->neighbour_learned != NULL && token_bucket_take(&n->limits->announcements, n->now_us))
        n->neighbour_learned(n->neighbour_arg, &target, mac);
    return true;
}

void ndp_input(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    const uint8_t *nd = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_at);
    const struct wire_icmp *icmp = (const void *)nd;
    bool good = p->hop_limit == 255 && icmp->code == 0 && p->l4_len >= ND_LEN_MIN;
    if (good && icmp->type == WIRE_ICMP6_SOLICITATION)
        good = solicitation(n, p, nd, p->l4.src_mac);
    else if (good)
        good = advertisement(n, p, nd, p->l4.src_mac);
    if (!good)
        n->stats->rx_nd_bad++;
    net_buf_drop(m);
}
