/* An IPv4 or IPv6 address in one shape: IPv4 stands as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_addr {
    union {
        uint8_t b[16];
        uint32_t w[4]; /* network byte order; w[3] is the IPv4 address */
        uint64_t d[2];
    };
};

static inline bool ip_addr_is4(const struct ip_addr *a)
{
    return a->d[0] == 0 && a->w[2] == __builtin_bswap32(0xffff);
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->d[0] == b->d[0] && a->d[1] == b->d[1];
}

static inline struct ip_addr ip_addr_from4(uint32_t be)
{
    struct ip_addr a = {.w = {0, 0, __builtin_bswap32(0xffff), be}};
    return a;
}

#define IP_ADDR_TEXT_SIZE 46
/* NUL-terminated into buf[IP_ADDR_TEXT_SIZE]; IPv4 in dotted form. */
void ip_addr_format(const struct ip_addr *a, char *buf);
/* "10.0.0.1", "fd00::1", with "/24" when prefix is not NULL (default 32 or 128). */
bool ip_addr_parse(const char *text, struct ip_addr *a, unsigned *prefix);
