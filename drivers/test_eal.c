#include "test_eal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include "check.h"

struct eal *test_eal(int lcores, uint32_t packet_buffers)
{
    static struct eal eal;
    char err[EAL_ERROR_SIZE];
    char count[16];
    if (eal.lcore_count > 0)
        return &eal;
    snprintf(count, sizeof(count), "%d", lcores);
    struct eal_options options = {.nic = "",
                                  .lcores = count,
                                  .hugepages = HUGEPAGES_NO,
                                  .packet_buffers = packet_buffers,
                                  .mtu = 1500,
                                  .file_prefix = ""};
    if (!eal_start(&options, &eal, err)) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
    return &eal;
}

static uint16_t headers_write(const struct test_frame *options, uint8_t *out)
{
    struct rte_ether_hdr *ether = (struct rte_ether_hdr *)out;
    uint16_t l4 = (uint16_t)(sizeof(struct rte_tcp_hdr) + options->tcp_options_len);
    uint16_t len = sizeof(*ether);
    memset(out, 0, 128);
    if (options->to != NULL)
        memcpy(&ether->dst_addr, options->to, 6);
    if (options->from != NULL)
        memcpy(&ether->src_addr, options->from, 6);
    if (options->ip6) {
        struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(out + len);
        ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
        ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
        ip->payload_len = rte_cpu_to_be_16((uint16_t)(l4 + options->payload_len));
        ip->proto = IPPROTO_TCP;
        ip->src_addr[15] = 1;
        ip->dst_addr[15] = 2;
        len = (uint16_t)(len + sizeof(*ip));
    } else {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(out + len);
        ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
        ip->version_ihl = RTE_IPV4_VHL_DEF;
        ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + l4 + options->payload_len));
        ip->packet_id = rte_cpu_to_be_16(77);
        ip->time_to_live = 64;
        ip->next_proto_id = IPPROTO_TCP;
        ip->src_addr = rte_cpu_to_be_32(0x0a4d0001);
        ip->dst_addr = rte_cpu_to_be_32(0x0a4d0002);
        ip->hdr_checksum = 0xbeef;
        len = (uint16_t)(len + sizeof(*ip));
    }
    struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(out + len);
    tcp->src_port = rte_cpu_to_be_16(options->port);
    tcp->dst_port = rte_cpu_to_be_16(6379);
    tcp->sent_seq = rte_cpu_to_be_32(1000);
    tcp->data_off = (uint8_t)(l4 / 4 << 4);
    tcp->tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG;
    tcp->cksum = 0xdead;
    memset(tcp + 1, 1, options->tcp_options_len); /* no-operation options */
    return (uint16_t)(len + l4);
}

struct rte_mbuf *test_frame_new(const struct test_frame *options)
{
    uint8_t header[128];
    uint16_t header_len = headers_write(options, header);
    uint32_t left = (uint32_t)header_len + options->payload_len;
    uint32_t at = 0;
    struct rte_mbuf *frame = NULL;
    for (int cut = 0; left > 0 || frame == NULL; cut++) {
        struct rte_mbuf *seg = rte_pktmbuf_alloc(options->pool);
        CHECK(seg != NULL);
        uint16_t room = rte_pktmbuf_tailroom(seg);
        bool given = cut < (int)count_of(options->cuts) && options->cuts[cut] != 0;
        uint32_t len = given ? options->cuts[cut] : room;
        len = RTE_MIN(len, left);
        CHECK(cut > 0 || len >= header_len);
        uint8_t *to = (uint8_t *)rte_pktmbuf_append(seg, (uint16_t)len);
        CHECK(to != NULL);
        for (uint32_t i = 0; i < len; i++, at++)
            to[i] = at < header_len ? header[at] : (uint8_t)(options->fill + (at - header_len) * 7);
        left -= len;
        CHECK(frame == NULL || rte_pktmbuf_chain(frame, seg) == 0);
        frame = frame == NULL ? seg : frame;
    }
    frame->l2_len = sizeof(struct rte_ether_hdr);
    frame->l3_len = options->ip6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
    frame->l4_len = (uint8_t)(sizeof(struct rte_tcp_hdr) + options->tcp_options_len);
    frame->ol_flags =
        RTE_MBUF_F_TX_TCP_CKSUM |
        (options->ip6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
    return frame;
}

uint8_t *test_frame_bytes(const struct rte_mbuf *frame)
{
    uint8_t *bytes = malloc(rte_pktmbuf_pkt_len(frame));
    uint32_t at = 0;
    CHECK(bytes != NULL);
    for (const struct rte_mbuf *seg = frame; seg != NULL; seg = seg->next) {
        memcpy(bytes + at, rte_pktmbuf_mtod(seg, const void *), rte_pktmbuf_data_len(seg));
        at += rte_pktmbuf_data_len(seg);
    }
    CHECK(at == rte_pktmbuf_pkt_len(frame));
    return bytes;
}

bool test_frame_valid(const struct rte_mbuf *frame)
{
    uint8_t *bytes = test_frame_bytes(frame);
    uint32_t len = rte_pktmbuf_pkt_len(frame);
    const struct rte_ether_hdr *ether = (const struct rte_ether_hdr *)bytes;
    const uint8_t *l3 = bytes + sizeof(*ether);
    bool valid;
    if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)) {
        const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)l3;
        valid = rte_be_to_cpu_16(ip->payload_len) + sizeof(*ip) + sizeof(*ether) == len &&
                rte_ipv6_udptcp_cksum_verify(ip, ip + 1) == 0;
    } else {
        const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)l3;
        valid = rte_be_to_cpu_16(ip->total_length) + sizeof(*ether) == len &&
                rte_raw_cksum(ip, sizeof(*ip)) == 0xffff &&
                rte_ipv4_udptcp_cksum_verify(ip, ip + 1) == 0;
    }
    free(bytes);
    return valid;
}
