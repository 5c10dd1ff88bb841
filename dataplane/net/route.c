/* Which neighbour a packet goes to, and from which of our addresses: one subnet per family, a
 * gateway, the IPv6 link. */
#include "net_output.h"

static bool prefix_equal(const struct ip_addr *a, const struct ip_addr *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(a->b, b->b, bytes) != 0)
        return false;
    return rest == 0 || (a->b[bytes] ^ b->b[bytes]) >> (8 - rest) == 0;
}

static bool is_link_local(const struct ip_addr *a)
{
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static bool on_link4(const struct netif *n, uint32_t a)
{
    uint32_t ours = n->config.ip4.w[3];
    if (ip_addr_is_zero(&n->config.ip4) || ((a ^ ours) & n->mask4) != 0)
        return false;
    uint32_t host = a & ~n->mask4;
    return n->config.prefix4 >= 31 || (host != 0 && host != ~n->mask4);
}

bool route_on_link(const struct netif *n, const struct ip_addr *a)
{
    if (ip_addr_is4(a))
        return on_link4(n, a->w[3]) || ip_addr_equal(a, &n->config.gateway4);
    if (is_link_local(a) || ip_addr_equal(a, &n->config.gateway6))
        return true;
    return !ip_addr_is_zero(&n->config.ip6) && prefix_equal(a, &n->config.ip6, n->config.prefix6);
}

/* Neither a group nor nobody nor a host's own loopback. */
static bool is_unicast(const struct ip_addr *a)
{
    static const struct ip_addr loopback6 = {.b = {[15] = 1}};
    if (ip_addr_is4(a))
        return a->b[12] != 0 && a->b[12] != 127 && a->b[12] < 224;
    return a->b[0] != 0xff && !ip_addr_is_zero(a) && !ip_addr_equal(a, &loopback6);
}

bool route_next_hop(const struct netif *n, const struct ip_addr *dst, struct ip_addr *hop)
{
    if (!is_unicast(dst) || netif_is_local(n, dst))
        return false;
    if (route_on_link(n, dst)) {
        *hop = *dst;
        return true;
    }
    bool is4 = ip_addr_is4(dst);
    /* The subnet's broadcast address is no unicast destination either. */
    if (is4 && ((dst->w[3] ^ n->config.ip4.w[3]) & n->mask4) == 0)
        return false;
    *hop = is4 ? n->config.gateway4 : n->config.gateway6;
    return !ip_addr_is_zero(hop) && !ip_addr_is_zero(is4 ? &n->config.ip4 : &n->config.ip6);
}

bool netif_is_local(const struct netif *n, const struct ip_addr *a)
{
    return !ip_addr_is_zero(a) &&
           (ip_addr_equal(a, &n->config.ip4) || ip_addr_equal(a, &n->config.ip6) ||
            ip_addr_equal(a, &n->link_local));
}

bool netif_source_for(const struct netif *n, const struct ip_addr *dst, struct ip_addr *src)
{
    struct ip_addr hop;
    if (!route_next_hop(n, dst, &hop))
        return false;
    if (ip_addr_is4(dst))
        *src = n->config.ip4;
    else
        *src = is_link_local(dst) ? n->link_local : n->config.ip6;
    return !ip_addr_is_zero(src);
}

uint16_t netif_l4_mtu(const struct netif *n, const struct ip_addr *dst)
{
    return (uint16_t)(n->config.mtu - (ip_addr_is4(dst) ? 20 : 40));
}
