/* Multicast listener reports (RFC 3810), so that switches which watch them let solicitations for
 * our addresses through. Only the two solicited-node groups; queries are answered at once, at a
 * pace. */
#include <string.h>
#include <rte_mbuf.h>
#include "net_buf.h"
#include "net_input.h"
#include "net_output.h"
#include "net_wire.h"

#define RECORD_IS_EXCLUDE 2
#define RECORD_TO_EXCLUDE 4
#define QUERY_LEN_MIN 28u /* version 2; shorter ones are version 1 */

struct wire_mld {
    uint8_t hop_by_hop[8];
    struct wire_icmp icmp; /* rest: the number of records */
    struct {
        uint8_t type, aux_len;
        uint16_t source_count;
        uint8_t group[16];
    } record[2];
} __attribute__((packed));

static void send_report(struct netif *n, uint8_t record_type)
{
    static const struct ip_addr routers = {.b = {0xff, 2, [15] = 0x16}};
    static const uint8_t router_alert[8] = {58, 0, 5, 2, 0, 0, 1, 0};
    struct ip_addr ours[2] = {n->link_local, n->config.ip6};
    uint32_t count = ip_addr_is_zero(&n->config.ip6) ? 1 : 2;
    uint32_t len = (uint32_t)(sizeof(struct wire_mld) - (2 - count) * 20);
    struct rte_mbuf *m = net_buf_new(n, WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_ip6) + len);
    uint8_t mac[6];
    if (m == NULL)
        return;
    ip6_group_mac(&routers, mac);
    struct ip6_send ip = {
        .src = &n->link_local, .dst = &routers, .proto = 0, .hop_limit = 1, .l4_len = len};
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    struct wire_mld *mld =
        (void *)ip6_header_put(eth_header_put(n, frame, mac, WIRE_TYPE_IP6), &ip);
    memcpy(mld->hop_by_hop, router_alert, 8);
    mld->icmp = (struct wire_icmp){.type = WIRE_ICMP6_MLD2_REPORT, .rest = wire32(count)};
    for (uint32_t i = 0; i < count; i++) {
        struct ip_addr group = ip6_solicited_node(&ours[i]);
        mld->record[i].type = record_type;
        mld->record[i].aux_len = 0;
        mld->record[i].source_count = 0;
        memcpy(mld->record[i].group, group.b, 16);
    }
    icmp6_checksum_put((uint8_t *)&mld->icmp, len - 8, &n->link_local, &routers);
    net_send(n, m);
}

void mld_report(struct netif *n)
{
    send_report(n, RECORD_TO_EXCLUDE);
}

void mld_input(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    const struct ip_addr *src = &p->l4.src;
    bool from_link = src->b[0] == 0xfe && (src->b[1] & 0xc0) == 0x80;
    if (p->hop_limit != 1 || !from_link || p->l4_len < QUERY_LEN_MIN)
        n->stats->rx_icmp_bad++;
    else if (token_bucket_take(&n->limits->mld, n->now_us))
        send_report(n, RECORD_IS_EXCLUDE);
    net_buf_drop(m);
}
