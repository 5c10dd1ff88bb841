#include "cluster_settings.h"
#include <stdio.h>
#include <string.h>

#define BUS_PORT_ABOVE 10000 /* the client port */

static bool refuse(char *err, const char *text)
{
    snprintf(err, CLUSTER_SETTINGS_ERROR_SIZE, "%s", text);
    return false;
}

static bool copy_text(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size)
        return false;
    memcpy(to, from, len);
    return true;
}

/* "10.77.0.1/24" without its prefix. */
static void copy_address(char *to, size_t size, const char *from)
{
    size_t len = strcspn(from, "/");
    if (len < size)
        memcpy(to, from, len);
}

static bool ports_from(const struct config *c, struct cluster_config *s, char *err)
{
    int64_t cport = c->cluster_port != 0 ? c->cluster_port : c->port + BUS_PORT_ABOVE;
    if (c->port == 0)
        return refuse(err, "cluster-enabled yes needs a port");
    if (cport > UINT16_MAX)
        return refuse(err, "cluster-port: port + 10000 is above 65535; choose a lower port, or set "
                           "cluster-port");
    if (cport == c->port)
        return refuse(err, "cluster-port: clients and the bus need a port each");
    s->port = (uint16_t)c->port;
    s->cport = (uint16_t)cport;
    s->announce_port = (uint16_t)c->cluster_announce_port;
    s->announce_cport = (uint16_t)c->cluster_announce_bus_port;
    return true;
}

static bool names_from(const struct config *c, struct cluster_config *s, char *err)
{
    uint8_t address[BUS_ADDRESS_SIZE];
    const char *ip = c->cluster_announce_ip, *hostname = c->cluster_announce_hostname;
    copy_address(s->ip, sizeof(s->ip), c->ip[0] != '\0' ? c->ip : c->ip6);
    if (ip[0] != '\0' && (!bus_address_parse(slice_from(ip, strlen(ip)), address) ||
                          !copy_text(s->announce_ip, sizeof(s->announce_ip), ip)))
        return refuse(err, "cluster-announce-ip is not an address that a node can have");
    if (!bus_hostname_valid(slice_from(hostname, strlen(hostname))) ||
        !copy_text(s->announce_hostname, sizeof(s->announce_hostname), hostname))
        return refuse(err, "Hostnames may only contain alphanumeric characters, hyphens or dots");
    if (!cluster_config_allow(s, slice_from(c->cluster_bus_allow, strlen(c->cluster_bus_allow))))
        return refuse(err, "cluster-bus-allow: expected networks, for example 10.0.0.0/8 fd00::/8");
    return true;
}

bool cluster_settings_from(const struct config *c, struct cluster_config *s, char *err)
{
    memset(s, 0, sizeof(*s));
    cluster_config_defaults(s);
    s->node_timeout_ms = (uint32_t)c->cluster_node_timeout_ms;
    s->endpoint = (enum cluster_endpoint)c->cluster_preferred_endpoint_type;
    s->require_full_coverage = c->cluster_require_full_coverage;
    s->replica_no_failover = c->cluster_replica_no_failover;
    s->allow_replica_migration = c->cluster_allow_replica_migration;
    s->migration_barrier = (uint32_t)c->cluster_migration_barrier;
    s->replica_validity_factor = (uint32_t)c->cluster_replica_validity_factor;
    return ports_from(c, s, err) && names_from(c, s, err);
}
