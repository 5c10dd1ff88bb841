#include "netif.h"
#include <stdlib.h>
#include <rte_mbuf.h>
#include "check.h"
#include "neigh.h"
#include "net_input.h"
#include "net_output.h"
#include "reassembly.h"

/* What strangers can make us send, per second and at once. */
#define ECHO_PER_S 20000
#define ECHO_BURST 2000
#define ERRORS_PER_S 100
#define ERRORS_BURST 20
#define ANNOUNCEMENTS_PER_S 1000
#define ANNOUNCEMENTS_BURST 256
#define MLD_PER_S 1
#define MLD_BURST 2

/* The interface identifier made from the MAC (RFC 4291, appendix A). */
static struct ip_addr link_local_of(const uint8_t mac[6])
{
    return (struct ip_addr){.b = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff,
                                  0xfe, mac[3], mac[4], mac[5]}};
}

static uint32_t mask4_of(unsigned prefix)
{
    return prefix == 0 ? 0 : __builtin_bswap32(UINT32_MAX << (32 - prefix));
}

struct netif *netif_new(struct port_queue *q, const struct netif_config *c, const struct l4_ops *l4,
                        void *l4_arg)
{
    CHECK(c->steering != NULL && c->prefix4 <= 32 && c->prefix6 <= 128 && c->mtu >= 576);
    struct netif *n = calloc(1, sizeof *n);
    if (n == NULL)
        return NULL;
    n->stats = calloc(1, sizeof *n->stats);
    n->limits = malloc(sizeof *n->limits);
    n->neighbours = neigh_new(c->seed);
    n->reassembly = reassembly_new();
    n->queue = q;
    n->config = *c;
    n->l4 = l4;
    n->l4_arg = l4_arg;
    n->link_local = link_local_of(c->mac);
    n->mask4 = mask4_of(c->prefix4);
    n->fragment_id = (uint32_t)(c->seed >> 32 ^ c->seed);
    if (n->stats == NULL || n->limits == NULL || n->neighbours == NULL || n->reassembly == NULL) {
        netif_free(n);
        return NULL;
    }
    *n->limits = (struct net_limits){
        .echo = token_bucket_make(ECHO_PER_S, ECHO_BURST),
        .errors = token_bucket_make(ERRORS_PER_S, ERRORS_BURST),
        .announcements = token_bucket_make(ANNOUNCEMENTS_PER_S, ANNOUNCEMENTS_BURST),
        .mld = token_bucket_make(MLD_PER_S, MLD_BURST),
    };
    return n;
}

void netif_free(struct netif *n)
{
    for (uint16_t i = 0; i < n->tx_count; i++)
        rte_pktmbuf_free(n->tx[i]);
    if (n->neighbours != NULL)
        neigh_free(n->neighbours);
    if (n->reassembly != NULL)
        reassembly_free(n->reassembly);
    free(n->limits);
    free(n->stats);
    free(n);
}

void netif_tick(struct netif *n)
{
    neigh_tick(n);
    reassembly_tick(n);
}

uint64_t netif_deadline_us(const struct netif *n)
{
    if (n->tx_count > 0)
        return n->now_us;
    uint64_t neighbours_us = neigh_deadline_us(n->neighbours);
    uint64_t reassembly_us = reassembly_deadline_us(n->reassembly);
    return neighbours_us < reassembly_us ? neighbours_us : reassembly_us;
}

void netif_announce(struct netif *n)
{
    arp_announce(n);
    ndp_announce(n);
    mld_report(n);
}

void netif_neighbour_set(struct netif *n, const struct ip_addr *a, const uint8_t mac[6])
{
    neigh_heard(n, a, mac, true);
}

void netif_validate(const struct netif *n)
{
    CHECK(n->tx_count < NET_TX_QUEUE_MAX);
    neigh_validate(n->neighbours);
    reassembly_validate(n->reassembly);
}
