/* Builders and parsers of frames for tests; deliberately without the code under test. */
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "test_port.h"

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint64_t sum_bytes(uint64_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    return sum;
}

static uint16_t sum_finish(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

struct ip_addr test_ip(const char *text)
{
    struct ip_addr a;
    CHECK(ip_addr_parse(text, &a, NULL));
    return a;
}

uint16_t test_l4_checksum(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                          const void *l4, size_t len)
{
    unsigned skip = ip_addr_is4(src) ? 12 : 0;
    uint64_t sum = sum_bytes(0, src->b + skip, 16 - skip);
    sum = sum_bytes(sum, dst->b + skip, 16 - skip);
    return sum_finish(sum_bytes(sum + proto + len, l4, len));
}

struct rte_mbuf *test_frame_raw(struct test_port *p, const void *bytes, size_t len)
{
    struct rte_mbuf *head = rte_pktmbuf_alloc(p->queue.pool);
    CHECK(head != NULL);
    struct rte_mbuf *last = head;
    const uint8_t *from = bytes;
    for (;;) {
        uint16_t room = rte_pktmbuf_tailroom(last);
        uint16_t part = (uint16_t)(len < room ? len : room);
        memcpy(rte_pktmbuf_mtod(last, uint8_t *), from, part);
        last->data_len = part;
        head->pkt_len += part;
        from += part;
        len -= part;
        if (len == 0)
            return head;
        last->next = rte_pktmbuf_alloc(p->queue.pool);
        CHECK(last->next != NULL);
        last = last->next;
        head->nb_segs++;
    }
}

static uint8_t *put_ethernet(uint8_t *p, const struct test_ip_header *h, uint16_t type)
{
    static const uint8_t zero[6];
    memcpy(p, memcmp(h->dst_mac, zero, 6) == 0 ? test_mac_us : h->dst_mac, 6);
    memcpy(p + 6, memcmp(h->src_mac, zero, 6) == 0 ? test_mac_peer : h->src_mac, 6);
    put16(p + 12, type);
    return p + 14;
}

struct rte_mbuf *test_frame_ip(struct test_port *p, const struct test_ip_header *h, const void *l4,
                               size_t l4_len)
{
    static uint8_t bytes[14 + 40 + 66000];
    uint8_t *ip = put_ethernet(bytes, h, ip_addr_is4(&h->src) ? 0x0800 : 0x86dd);
    uint8_t ttl = h->ttl ? h->ttl : 64;
    size_t header_len = ip_addr_is4(&h->src) ? 20 : 40;
    CHECK(l4_len <= 66000);
    memset(ip, 0, header_len);
    if (header_len == 20) {
        ip[0] = 0x45;
        put16(ip + 2, (uint32_t)(20 + l4_len));
        put16(ip + 4, h->id);
        put16(ip + 6, h->fragment);
        ip[8] = ttl;
        ip[9] = h->proto;
        memcpy(ip + 12, h->src.b + 12, 4);
        memcpy(ip + 16, h->dst.b + 12, 4);
        put16(ip + 10, sum_finish(sum_bytes(0, ip, 20)));
    } else {
        ip[0] = 0x60;
        put16(ip + 4, (uint32_t)l4_len);
        ip[6] = h->proto;
        ip[7] = ttl;
        memcpy(ip + 8, h->src.b, 16);
        memcpy(ip + 24, h->dst.b, 16);
    }
    memcpy(ip + header_len, l4, l4_len);
    return test_frame_raw(p, bytes, 14 + header_len + l4_len);
}

static size_t put_tcp(uint8_t *tcp, const struct test_tcp *t)
{
    size_t options_len = (t->options_len + 3u) & ~3u;
    memset(tcp, 0, 20 + options_len);
    put16(tcp, t->src_port);
    put16(tcp + 2, t->dst_port);
    put32(tcp + 4, t->seq);
    put32(tcp + 8, t->ack);
    tcp[12] = (uint8_t)((20 + options_len) / 4 << 4);
    tcp[13] = t->flags;
    put16(tcp + 14, t->window);
    if (t->options_len > 0)
        memcpy(tcp + 20, t->options, t->options_len);
    if (t->data_len > 0)
        memcpy(tcp + 20 + options_len, t->data, t->data_len);
    size_t len = 20 + options_len + t->data_len;
    put16(tcp + 16, test_l4_checksum(&t->src, &t->dst, 6, tcp, len));
    return len;
}

struct rte_mbuf *test_frame_tcp(struct test_port *p, const struct test_tcp *t)
{
    static uint8_t tcp[66000];
    struct test_ip_header h = {.src = t->src, .dst = t->dst, .proto = 6};
    CHECK(t->options_len <= 40 && t->data_len <= 65000);
    memcpy(h.src_mac, t->src_mac, 6);
    memcpy(h.dst_mac, t->dst_mac, 6);
    return test_frame_ip(p, &h, tcp, put_tcp(tcp, t));
}

struct rte_mbuf *test_frame_arp(struct test_port *p, const struct test_arp *a)
{
    uint8_t bytes[60] = {0};
    struct test_ip_header h = {0};
    memcpy(h.src_mac, a->sender_mac, 6);
    memcpy(h.dst_mac, a->dst_mac, 6);
    uint8_t *arp = put_ethernet(bytes, &h, 0x0806);
    put16(arp, 1);
    put16(arp + 2, 0x0800);
    arp[4] = 6;
    arp[5] = 4;
    put16(arp + 6, a->op);
    memcpy(arp + 8, a->sender_mac, 6);
    memcpy(arp + 14, a->sender.b + 12, 4);
    memcpy(arp + 18, a->target_mac, 6);
    memcpy(arp + 24, a->target.b + 12, 4);
    return test_frame_raw(p, bytes, sizeof bytes);
}

struct rte_mbuf *test_frame_icmp(struct test_port *p, const struct test_ip_header *h, uint8_t type,
                                 uint8_t code, const void *body, size_t body_len)
{
    static uint8_t icmp[66000];
    struct test_ip_header header = *h;
    bool is4 = ip_addr_is4(&h->src);
    CHECK(body_len + 4 <= sizeof icmp);
    icmp[0] = type;
    icmp[1] = code;
    put16(icmp + 2, 0);
    memcpy(icmp + 4, body, body_len);
    header.proto = is4 ? 1 : 58;
    put16(icmp + 2, is4 ? sum_finish(sum_bytes(0, icmp, 4 + body_len))
                        : test_l4_checksum(&h->src, &h->dst, 58, icmp, 4 + body_len));
    return test_frame_ip(p, &header, icmp, 4 + body_len);
}

struct rte_mbuf *test_frame_icmp_error(struct test_port *p, const struct test_quote *q,
                                       uint8_t type, uint8_t code, uint32_t rest)
{
    uint8_t body[4 + 40 + 20];
    struct test_tcp t = {.src = q->local,
                         .dst = q->remote,
                         .src_port = q->local_port,
                         .dst_port = q->remote_port,
                         .seq = q->seq,
                         .flags = TEST_ACK};
    struct rte_mbuf *sent = test_frame_tcp(p, &t);
    uint32_t quoted_len = sent->pkt_len - 14;
    put32(body, rest);
    memcpy(body + 4, rte_pktmbuf_mtod_offset(sent, uint8_t *, 14), quoted_len);
    rte_pktmbuf_free(sent);
    struct test_ip_header h = {.src = q->from, .dst = q->local};
    return test_frame_icmp(p, &h, type, code, body, 4 + quoted_len);
}

void test_frame_split(struct test_port *p, struct rte_mbuf *m, uint32_t at)
{
    struct rte_mbuf *rest = rte_pktmbuf_alloc(p->queue.pool);
    CHECK(rest != NULL && at <= m->data_len);
    rest->data_len = (uint16_t)(m->data_len - at);
    memcpy(rte_pktmbuf_mtod(rest, uint8_t *), rte_pktmbuf_mtod_offset(m, uint8_t *, at),
           rest->data_len);
    rest->next = m->next;
    m->next = rest;
    m->data_len = (uint16_t)at;
    m->nb_segs++;
}

uint32_t test_frame_bytes(const struct rte_mbuf *m, uint8_t *buf, uint32_t size)
{
    uint32_t len = 0;
    CHECK(m->pkt_len <= size);
    for (; m != NULL; m = m->next) {
        memcpy(buf + len, rte_pktmbuf_mtod(m, uint8_t *), m->data_len);
        len += m->data_len;
    }
    return len;
}

void test_frame_complete(struct rte_mbuf *m)
{
    static uint8_t bytes[66000];
    uint32_t len = test_frame_bytes(m, bytes, sizeof bytes);
    uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, m->l2_len);
    if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
        CHECK(get16(ip + 10) == 0);
        put16(ip + 10, sum_finish(sum_bytes(0, ip, m->l3_len)));
    }
    if (m->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)) {
        uint32_t at = m->l2_len + m->l3_len;
        bool is4 = m->ol_flags & RTE_MBUF_F_TX_IPV4;
        struct ip_addr src = {0}, dst = {0};
        memcpy(&src.b[is4 ? 12 : 0], ip + (is4 ? 12 : 8), is4 ? 4 : 16);
        memcpy(&dst.b[is4 ? 12 : 0], ip + (is4 ? 16 : 24), is4 ? 4 : 16);
        src = is4 ? ip_addr_from4(src.w[3]) : src;
        dst = is4 ? ip_addr_from4(dst.w[3]) : dst;
        /* The field holds the pseudo header's sum, without the length for TSO. */
        uint32_t pseudo_len = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? 0 : len - at;
        uint16_t pseudo = test_l4_checksum(&src, &dst, 6, NULL, 0);
        uint32_t expected = sum_finish((uint64_t)(uint16_t)~pseudo + pseudo_len) ^ 0xffff;
        CHECK(get16(bytes + at + 16) == expected);
        CHECK(m->l4_len == (bytes[at + 12] >> 4) * 4);
        put16(bytes + at + 16, 0);
        put16(ip + m->l3_len + 16, test_l4_checksum(&src, &dst, 6, bytes + at, len - at));
    }
    m->ol_flags = 0;
}

static bool parse_ip(const uint8_t *b, uint32_t len, struct test_segment *s, uint32_t *tcp_at)
{
    memcpy(s->dst_mac, b, 6);
    memcpy(s->src_mac, b + 6, 6);
    if (len >= 54 && get16(b + 12) == 0x0800 && b[23] == 6) {
        CHECK(get16(b + 16) == len - 14);
        CHECK(sum_finish(sum_bytes(0, b + 14, 20)) == 0);
        CHECK(b[14] == 0x45 && get16(b + 20) == 0x4000); /* DF */
        memset(&s->src, 0, sizeof s->src);
        s->src = ip_addr_from4(0);
        s->dst = ip_addr_from4(0);
        memcpy(s->src.b + 12, b + 26, 4);
        memcpy(s->dst.b + 12, b + 30, 4);
        *tcp_at = 34;
        return true;
    }
    if (len >= 74 && get16(b + 12) == 0x86dd && b[20] == 6) {
        CHECK(get16(b + 18) == len - 54);
        memcpy(s->src.b, b + 22, 16);
        memcpy(s->dst.b, b + 38, 16);
        *tcp_at = 54;
        return true;
    }
    return false;
}

bool test_segment_parse(struct rte_mbuf *m, struct test_segment *s)
{
    static uint8_t b[66000];
    uint32_t at;
    s->tso_segsz = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? m->tso_segsz : 0;
    test_frame_complete(m);
    uint32_t len = test_frame_bytes(m, b, sizeof b);
    rte_pktmbuf_free(m);
    if (!parse_ip(b, len, s, &at))
        return false;
    const uint8_t *tcp = b + at;
    uint32_t header_len = (tcp[12] >> 4) * 4u;
    CHECK(header_len >= 20 && at + header_len <= len);
    CHECK(test_l4_checksum(&s->src, &s->dst, 6, tcp, len - at) == 0);
    s->src_port = get16(tcp);
    s->dst_port = get16(tcp + 2);
    s->seq = get32(tcp + 4);
    s->ack = get32(tcp + 8);
    s->flags = tcp[13];
    s->window = get16(tcp + 14);
    s->options_len = (uint8_t)(header_len - 20);
    memcpy(s->options, tcp + 20, s->options_len);
    s->data_len = len - at - header_len;
    memcpy(s->data, tcp + header_len, s->data_len);
    return true;
}

bool test_port_take_segment(struct test_port *p, struct test_segment *s)
{
    struct rte_mbuf *m;
    while ((m = test_port_take(p)) != NULL) {
        if (test_segment_parse(m, s))
            return true;
    }
    return false;
}
