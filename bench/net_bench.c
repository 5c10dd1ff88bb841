/* TSC cycles per packet of the network layer's fast path: a TCP segment over IPv4 from the receive
 * burst to TCP, and one from TCP to the transmit burst. The port and TCP do nothing here, so what
 * is left is the layer itself and the buffer pool. Prints the median round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include "check.h"
#include "test_port.h"

#define BURST 32
#define ROUNDS 20000

static uint64_t cycles[ROUNDS];

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_median(const char *name)
{
    qsort(cycles, ROUNDS, sizeof cycles[0], ascending);
    printf("net %s %.1f cycles/packet\n", name, (double)cycles[ROUNDS / 2] / BURST);
}

static struct rte_mbuf *kept[BURST];
static unsigned kept_count;

static void keep(void *arg, struct rte_mbuf *m, const struct l4_packet *p)
{
    kept[kept_count++] = m;
}

static const struct l4_ops keep_ops = {.tcp_input = keep};

static uint16_t take_all(struct port_queue *q, struct rte_mbuf **pkts, uint16_t count)
{
    memcpy(kept, pkts, count * sizeof pkts[0]);
    kept_count = count;
    return count;
}

static void frames_make(struct test_net *net, struct rte_mbuf **pkts, uint32_t data_len)
{
    static uint8_t data[1460];
    for (unsigned i = 0; i < BURST; i++) {
        struct test_tcp t = {.src = test_ip("10.77.0.2"),
                             .dst = test_ip("10.77.0.1"),
                             .src_port = (uint16_t)(40000 + i),
                             .dst_port = 6379,
                             .flags = TEST_ACK,
                             .data = data,
                             .data_len = data_len};
        pkts[i] = test_frame_tcp(&net->port, &t);
    }
}

/* steer: also choose the owner in software, as on ports without our hash. */
static void bench_input(struct test_net *net, const char *name, uint32_t data_len, bool steer,
                        uint64_t flags)
{
    struct rte_mbuf *pkts[BURST];
    frames_make(net, pkts, data_len);
    uint16_t off = pkts[0]->data_off;
    uint32_t len = pkts[0]->pkt_len;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BURST; i++) {
            pkts[i]->data_off = off;
            pkts[i]->data_len = (uint16_t)len;
            pkts[i]->pkt_len = len;
            pkts[i]->ol_flags = flags;
        }
        kept_count = 0;
        uint64_t start = rte_rdtsc_precise();
        for (unsigned i = 0; steer && i < BURST; i++)
            flow_owner_of_frame(&net->steering, pkts[i], false);
        netif_input(net->nif, pkts, BURST);
        cycles[round] = rte_rdtsc_precise() - start;
        CHECK(kept_count == BURST);
    }
    for (unsigned i = 0; i < BURST; i++)
        rte_pktmbuf_free(pkts[i]);
    print_median(name);
}

static void bench_output(struct test_net *net)
{
    struct ip_addr src = test_ip("10.77.0.1"), dst = test_ip("10.77.0.2");
    struct net_path path = {0};
    struct rte_mbuf *pkts[BURST];
    test_net_resolve(net, &dst, test_mac_peer);
    frames_make(net, pkts, 40);
    net->port.queue.tx = take_all;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BURST; i++) {
            pkts[i]->data_off = RTE_PKTMBUF_HEADROOM + 34;
            pkts[i]->data_len = 60;
            pkts[i]->pkt_len = 60;
            pkts[i]->ol_flags = 0;
            pkts[i]->l4_len = 20;
        }
        uint64_t start = rte_rdtsc_precise();
        for (unsigned i = 0; i < BURST; i++)
            netif_output_tcp(net->nif, &path, &src, &dst, pkts[i]);
        netif_flush(net->nif);
        cycles[round] = rte_rdtsc_precise() - start;
        CHECK(kept_count == BURST);
    }
    for (unsigned i = 0; i < BURST; i++)
        rte_pktmbuf_free(pkts[i]);
    print_median("tx_tcp4");
}

int main(void)
{
    static struct test_net net;
    uint64_t good = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    test_net_init(&net, 0, 1, &keep_ops, NULL);
    bench_input(&net, "rx_tcp4_offloaded", 40, false, good | RTE_MBUF_F_RX_RSS_HASH);
    bench_input(&net, "rx_tcp4_software_hash", 40, true, good);
    bench_input(&net, "rx_tcp4_software_hash_checksum", 40, true, 0);
    bench_input(&net, "rx_tcp4_software_hash_checksum_1460", 1460, true, 0);
    bench_output(&net);
    test_net_fini(&net);
    return 0;
}
