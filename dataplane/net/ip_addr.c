#include "ip_addr.h"
#include <arpa/inet.h>

void ip_addr_format(const struct ip_addr *a, char *buf)
{
    if (ip_addr_is4(a))
        inet_ntop(AF_INET, &a->w[3], buf, IP_ADDR_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, a->b, buf, IP_ADDR_TEXT_SIZE);
}

/* Decimal digits only, at most three, no sign, no leading zero. */
static bool parse_prefix(const char *text, unsigned max, unsigned *prefix)
{
    unsigned value = 0, digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++)
        value = value * 10 + (unsigned)(*text - '0');
    if (*text != '\0' || digits == 0 || value > max || (digits > 1 && text[-(int)digits] == '0'))
        return false;
    *prefix = value;
    return true;
}

bool ip_addr_parse(const char *text, struct ip_addr *a, unsigned *prefix)
{
    char host[IP_ADDR_TEXT_SIZE];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof host || (slash && prefix == NULL))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';

    uint32_t be;
    if (inet_pton(AF_INET, host, &be) == 1)
        *a = ip_addr_from4(be);
    else if (inet_pton(AF_INET6, host, a->b) != 1)
        return false;
    unsigned max = ip_addr_is4(a) ? 32 : 128;
    if (prefix == NULL)
        return true;
    *prefix = max;
    return slash == NULL || parse_prefix(slash + 1, max, prefix);
}
