/* ARP (RFC 826, 5227): answers for our address, asks for others'. */
#include <string.h>
#include <rte_mbuf.h>
#include "neigh.h"
#include "net_buf.h"
#include "net_input.h"
#include "net_output.h"
#include "net_wire.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2
#define ARP_FRAME_LEN (WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_arp))

static const uint8_t mac_everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t mac_nobody[6];

struct arp_send {
    uint16_t op;
    const uint8_t *frame_dst, *target_mac;
    uint32_t target;
};

static void send(struct netif *n, const struct arp_send *s)
{
    struct rte_mbuf *m = net_buf_new(n, ARP_FRAME_LEN);
    if (m == NULL)
        return;
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    struct wire_arp *arp = (void *)eth_header_put(n, frame, s->frame_dst, WIRE_TYPE_ARP);
    *arp = (struct wire_arp){
        .hardware = wire16(1),
        .protocol = wire16(WIRE_TYPE_IP4),
        .hardware_len = 6,
        .protocol_len = 4,
        .op = wire16(s->op),
        .sender = n->config.ip4.w[3],
        .target = s->target,
    };
    memcpy(arp->sender_mac, n->config.mac, 6);
    memcpy(arp->target_mac, s->target_mac, 6);
    net_send(n, m);
}

void arp_ask(struct netif *n, uint32_t target, const uint8_t *mac)
{
    struct arp_send s = {.op = ARP_REQUEST,
                         .frame_dst = mac ? mac : mac_everybody,
                         .target_mac = mac ? mac : mac_nobody,
                         .target = target};
    send(n, &s);
}

void arp_announce(struct netif *n)
{
    if (!ip_addr_is_zero(&n->config.ip4))
        arp_ask(n, n->config.ip4.w[3], NULL);
}

static bool well_formed(const struct wire_arp *a)
{
    return a->hardware == wire16(1) && a->protocol == wire16(WIRE_TYPE_IP4) &&
           a->hardware_len == 6 && a->protocol_len == 4 &&
           (a->op == wire16(ARP_REQUEST) || a->op == wire16(ARP_REPLY)) &&
           (a->sender_mac[0] & 1) == 0 && memcmp(a->sender_mac, mac_nobody, 6) != 0;
}

/* The sender's pair is news; a reply sent to us alone answers a request. Replies and announcements
 * go to the other lcores too: any of them may have asked, or have an entry that is now wrong. */
static void sender_heard(struct netif *n, const struct wire_arp *a, bool answer)
{
    struct ip_addr sender = ip_addr_from4(a->sender);
    if (!route_on_link(n, &sender))
        return;
    neigh_heard(n, &sender, a->sender_mac, answer);
    if (n->neighbour_learned != NULL && (answer || a->target == a->sender) &&
        token_bucket_take(&n->limits->announcements, n->now_us))
        n->neighbour_learned(n->neighbour_arg, &sender, a->sender_mac);
}

void arp_input(struct netif *n, struct rte_mbuf *m)
{
    m = net_buf_pull(n, m, ARP_FRAME_LEN);
    if (m == NULL)
        return;
    const struct wire_eth *eth = rte_pktmbuf_mtod(m, const struct wire_eth *);
    const struct wire_arp *a = rte_pktmbuf_mtod_offset(m, const struct wire_arp *, WIRE_ETH_LEN);
    uint32_t ours = n->config.ip4.w[3];
    if (m->pkt_len < ARP_FRAME_LEN || !well_formed(a) || a->sender == ours) {
        /* A short or odd one, or somebody claims our address. */
        n->stats->rx_arp_bad++;
    } else if (!ip_addr_is_zero(&n->config.ip4)) {
        bool to_us_alone =
            a->op == wire16(ARP_REPLY) && a->target == ours && (eth->dst[0] & 1) == 0;
        if (a->sender != 0)
            sender_heard(n, a, to_us_alone);
        if (a->op == wire16(ARP_REQUEST) && a->target == ours) {
            struct arp_send s = {.op = ARP_REPLY,
                                 .frame_dst = a->sender_mac,
                                 .target_mac = a->sender_mac,
                                 .target = a->sender};
            send(n, &s);
        }
    }
    net_buf_drop(m);
}
