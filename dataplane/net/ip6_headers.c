#include "ip6_headers.h"
#include <netinet/in.h>
#include <string.h>
#include <rte_mbuf.h>

/* Options that we do not know and that say "discard" (the two highest bits of the type) end it;
 * pads and the router alert are skipped. */
static bool options_allow(const uint8_t *options, unsigned len)
{
    for (unsigned i = 2; i < len;) {
        if (options[i] == 0) {
            i++;
            continue;
        }
        if (options[i] >> 6 != 0 || i + 2 > len || i + 2 + options[i + 1] > len)
            return false;
        i += 2u + options[i + 1];
    }
    return true;
}

static enum ip6_walk walk_fragment(const uint8_t *header, struct ip6_headers *h)
{
    uint16_t word;
    uint32_t id;
    memcpy(&word, header + 2, 2);
    memcpy(&id, header + 4, 4);
    word = __builtin_bswap16(word);
    h->fragment_offset = word & 0xfff8;
    h->fragment_more = word & 1;
    h->fragment_id = __builtin_bswap32(id);
    return h->fragment_offset == 0 && !h->fragment_more ? IP6_WALK_UPPER : IP6_WALK_FRAGMENT;
}

bool ip6_is_extension(uint8_t proto)
{
    return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
           proto == IPPROTO_FRAGMENT;
}

enum ip6_walk ip6_headers_walk(const struct rte_mbuf *m, uint32_t at, uint8_t next,
                               struct ip6_headers *h)
{
    uint8_t copy[IP6_HEADERS_BYTES_MAX];
    uint32_t first = at;
    *h = (struct ip6_headers){.proto = next, .at = at};
    for (unsigned count = 0; ip6_is_extension(h->proto); count++) {
        const uint8_t *header = rte_pktmbuf_read(m, h->at, 8, copy);
        if (header == NULL || count == IP6_HEADERS_MAX ||
            (h->proto == IPPROTO_HOPOPTS && count > 0))
            return IP6_WALK_BAD;
        unsigned len = h->proto == IPPROTO_FRAGMENT ? 8 : (header[1] + 1u) * 8;
        if (h->at + len - first > IP6_HEADERS_BYTES_MAX)
            return IP6_WALK_BAD;
        header = rte_pktmbuf_read(m, h->at, len, copy);
        if (header == NULL)
            return IP6_WALK_BAD;
        uint8_t kind = h->proto;
        h->proto = header[0];
        h->at += len;
        if (kind == IPPROTO_FRAGMENT) {
            if (walk_fragment(header, h) == IP6_WALK_FRAGMENT)
                return IP6_WALK_FRAGMENT;
        } else if (kind == IPPROTO_ROUTING) {
            if (header[3] != 0) /* segments left: we do not forward */
                return IP6_WALK_OPTIONS;
        } else if (!options_allow(header, len)) {
            return IP6_WALK_OPTIONS;
        }
    }
    return IP6_WALK_UPPER;
}
