/* The chain of IPv6 extension headers, walked the same way by the choice of the owner and by the
 * input (RFC 8200, section 4). Bounded: eight headers, 256 bytes. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;

#define IP6_HEADERS_MAX 8
#define IP6_HEADERS_BYTES_MAX 256

enum ip6_walk {
    IP6_WALK_UPPER,    /* proto and at: the upper-layer header (or one that nobody knows) */
    IP6_WALK_FRAGMENT, /* at: first byte behind a fragment header of a real fragment; proto: its
                          next */
    IP6_WALK_OPTIONS,  /* an option or routing header that forbids going on */
    IP6_WALK_BAD,      /* truncated, out of order, or beyond the bounds */
};

struct ip6_headers {
    uint8_t proto;
    uint32_t at;
    /* Of a real fragment: offset in bytes, whether more follow, identification. */
    uint16_t fragment_offset;
    bool fragment_more;
    uint32_t fragment_id;
};

/* One that the walk passes: hop-by-hop, routing, destination options, fragment. */
bool ip6_is_extension(uint8_t proto);

/* at: the byte behind the fixed header, next: its next-header field. A fragment header that stands
 * for the whole packet (offset 0, no more) is skipped (RFC 6946). */
enum ip6_walk ip6_headers_walk(const struct rte_mbuf *m, uint32_t at, uint8_t next,
                               struct ip6_headers *h);
