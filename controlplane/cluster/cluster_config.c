#include <string.h>
#include "cluster.h"
#include "numbers.h"

void cluster_config_defaults(struct cluster_config *config)
{
    memset(config, 0, sizeof(*config));
    config->node_timeout_ms = 15000;
    config->port = 6379;
    config->cport = 6379 + BUS_PORT_OFFSET;
    config->require_full_coverage = true;
    config->allow_replica_migration = true;
    config->migration_barrier = 1;
    config->replica_validity_factor = 10;
    config->repl_ping_period_s = 10;
}

/* An address is IPv6 when it has a colon; IPv4 is compared as ::ffff:a.b.c.d. */
static bool network_parse(struct slice text, struct cluster_network *net)
{
    const uint8_t *slash = memchr(text.data, '/', text.len);
    struct slice address = text;
    bool v6 = memchr(text.data, ':', text.len) != NULL;
    int64_t bits = v6 ? 128 : 32;
    if (slash) {
        address.len = (size_t)(slash - text.data);
        if (!parse_i64(slice_from(slash + 1, text.len - address.len - 1), &bits))
            return false;
    }
    if (bits < 0 || bits > (v6 ? 128 : 32))
        return false;
    /* Any network may be named, also one whose first address no node can have. */
    char first[BUS_IP_SIZE] = {0};
    if (address.len >= sizeof(first))
        return false;
    memcpy(first, address.data, address.len);
    if (strcmp(first, "0.0.0.0") == 0 || strcmp(first, "::") == 0) {
        if (bits != 0)
            return false;
        memset(net, 0, sizeof(*net));
        if (!v6) {
            net->address[10] = net->address[11] = 0xff;
            net->prefix = 96;
        }
        return true;
    }
    if (!bus_address_parse(address, net->address))
        return false;
    net->prefix = (uint8_t)(v6 ? bits : bits + 96);
    return true;
}

bool cluster_config_allow(struct cluster_config *config, struct slice text)
{
    config->allow_count = 0;
    while (text.len > 0) {
        size_t len = 0;
        while (len < text.len && text.data[len] != ' ' && text.data[len] != ',')
            len++;
        if (len > 0) {
            if (config->allow_count == CLUSTER_ALLOW_MAX ||
                !network_parse(slice_from(text.data, len), &config->allow[config->allow_count]))
                return false;
            config->allow_count++;
            text = slice_from(text.data + len, text.len - len);
        } else {
            text = slice_from(text.data + 1, text.len - 1);
        }
    }
    return true;
}
