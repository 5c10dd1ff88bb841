#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "allocator.h"
#include "bus_codec.h"
#include "capturer.h"
#include "clock.h"
#include "command.h"
#include "keyspace.h"
#include "log.h"
#include "machine.h"
#include "fault_spec.h"
#include "machine_capture.h"
#include "machine_info.h"
#include "object.h"
#include "port_spec.h"
#include "rates.h"
#include "rng.h"

#define HEART_STOPPED_US 1000000

static bool parse_address(const char *text, const char *directive, struct ip_addr *addr,
                          unsigned *prefix, char err[MACHINE_ERROR_SIZE])
{
    bool complete = prefix == NULL || strchr(text, '/') != NULL;
    if (text[0] == '\0' || (complete && ip_addr_parse(text, addr, prefix)))
        return true;
    snprintf(err, MACHINE_ERROR_SIZE, "%s '%s' is not an address; expected for example %s",
             directive, text, prefix != NULL ? "10.77.0.1/24" : "10.77.0.254");
    return false;
}

/* A unicast address that a host on a link can have. */
static bool is_host4(const struct ip_addr *a, unsigned prefix)
{
    uint32_t host = __builtin_bswap32(a->w[3]), mask = prefix ? ~0u << (32 - prefix) : 0;
    uint32_t first = host >> 24;
    if (first == 0 || first == 127 || first >= 224)
        return false;
    return prefix >= 31 || ((host & ~mask) != 0 && (host & ~mask) != ~mask);
}

static bool is_host6(const struct ip_addr *a)
{
    bool loopback_or_none = a->d[0] == 0 && a->w[2] == 0 && __builtin_bswap32(a->w[3]) <= 1;
    return a->b[0] != 0xff && !loopback_or_none;
}

static bool refuse_address(const char *directive, const char *text, const char *why,
                           char err[MACHINE_ERROR_SIZE])
{
    snprintf(err, MACHINE_ERROR_SIZE, "%s '%s' %s", directive, text, why);
    return false;
}

static bool machine_addresses(const struct config *c, struct netif_config *net,
                              char err[MACHINE_ERROR_SIZE])
{
    if (!parse_address(c->ip, "ip", &net->ip4, &net->prefix4, err) ||
        !parse_address(c->gateway, "gateway", &net->gateway4, NULL, err) ||
        !parse_address(c->ip6, "ip6", &net->ip6, &net->prefix6, err) ||
        !parse_address(c->gateway6, "gateway6", &net->gateway6, NULL, err))
        return false;
    if (c->ip[0] != '\0' && !ip_addr_is4(&net->ip4))
        return refuse_address("ip", c->ip, "is not an IPv4 address", err);
    if (c->ip6[0] != '\0' && ip_addr_is4(&net->ip6))
        return refuse_address("ip6", c->ip6, "is not an IPv6 address", err);
    if (c->ip[0] != '\0' && !is_host4(&net->ip4, net->prefix4))
        return refuse_address("ip", c->ip, "is not an address that a host can have", err);
    if (c->ip6[0] != '\0' && !is_host6(&net->ip6))
        return refuse_address("ip6", c->ip6, "is not an address that a host can have", err);
    net->mtu = (uint16_t)c->mtu;
    return true;
}

static void machine_name_node(struct machine *m)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t id[20];
    random_secret(id, sizeof(id));
    for (unsigned i = 0; i < sizeof(id); i++) {
        m->node.run_id[2 * i] = hex[id[i] >> 4];
        m->node.run_id[2 * i + 1] = hex[id[i] & 15];
    }
    m->node.start_ms = clock_wall_refresh_ms();
    m->node.tcp_port = (int)config_get()->port;
    m->node.next_client_id = 1;
}

static struct lcore_config machine_lcore_config(struct machine *m, unsigned id,
                                                const struct netif_config *net)
{
    const struct config *c = config_get();
    struct lcore_config l = {
        .id = id,
        .node = &m->node,
        .keyspace = m->keyspace,
        .queue = port_queue_get(m->port, (int)id),
        .steering = &m->steering,
        .net = *net,
        .tcp = {.conns_max = (uint32_t)(c->maxclients + 1024) * 2,
                .backlog = (uint32_t)c->tcp_backlog,
                .keepalive_s = (uint32_t)c->tcp_keepalive_s,
                .rx_memory_bytes = c->tcp_memory_bytes / m->lcore_count,
                .cc = c->tcp_congestion_control == 0 ? TCP_CC_CUBIC : TCP_CC_NEWRENO,
                .lcore = (uint16_t)id,
                .steering = &m->steering},
        .tcp_port = (uint16_t)c->port,
        .bus_path = m->bus_paths[id],
        .bus_port = m->bus_port,
        .bus_publish_max = BUS_PUBLISH_MAX,
    };
    memcpy(l.net.mac, port_info_get(m->port)->mac, 6);
    random_secret(&l.net.seed, sizeof(l.net.seed));
    random_secret(&l.tcp.seed, sizeof(l.tcp.seed));
    random_secret(&l.seed, sizeof(l.seed));
    return l;
}

static bool machine_build_lcores(struct machine *m, char err[MACHINE_ERROR_SIZE])
{
    struct netif_config net = {.steering = &m->steering};
    uint8_t secret[16];
    random_secret(secret, sizeof(secret));
    if (!machine_addresses(config_get(), &net, err))
        return false;
    for (unsigned i = 0; i < m->lcore_count; i++) {
        struct lcore_config c = machine_lcore_config(m, i, &net);
        memcpy(c.tcp.secret, secret, sizeof(secret));
        m->lcores[i] = lcore_new(&c);
        if (m->lcores[i] == NULL) {
            snprintf(err, MACHINE_ERROR_SIZE, "lcore %u cannot be built: out of memory", i);
            return false;
        }
    }
    lcore_link(m->lcores, m->lcore_count);
    return true;
}

bool machine_check(const struct config *c, char err[MACHINE_ERROR_SIZE])
{
    struct netif_config net = {0};
    struct port_spec nic;
    struct fault_spec fault;
    char why[PORT_SPEC_ERROR_SIZE > FAULT_ERROR_SIZE ? PORT_SPEC_ERROR_SIZE : FAULT_ERROR_SIZE];
    uint8_t mac[6];
    if (c->ip[0] == '\0' && c->ip6[0] == '\0') {
        snprintf(err, MACHINE_ERROR_SIZE,
                 "the node has no address: set 'ip', for example ip 10.77.0.1/24");
        return false;
    }
    if (!port_spec_parse(c->nic, &nic, why)) {
        snprintf(err, MACHINE_ERROR_SIZE, "%s", why);
        return false;
    }
    if (c->nic_fault[0] != '\0' && !fault_spec_parse(c->nic_fault, &fault, why)) {
        snprintf(err, MACHINE_ERROR_SIZE, "%s", why);
        return false;
    }
    if (c->mac[0] != '\0' && !port_mac_parse(c->mac, mac)) {
        snprintf(err, MACHINE_ERROR_SIZE, "mac '%s' is not a unicast MAC address", c->mac);
        return false;
    }
    return machine_addresses(c, &net, err) && eal_lcores_check(c->lcores, err);
}

bool machine_build(struct machine *m, struct mailbox *control, char err[MACHINE_ERROR_SIZE])
{
    const struct config *c = config_get();
    uint8_t rss_key[RSS_KEY_SIZE];
    random_secret(rss_key, sizeof(rss_key));
    struct eal_options eal = eal_options_from(c);
    struct port_options port = port_options_from(c, rss_key);
    machine_name_node(m);
    if (!eal_start(&eal, &m->eal, err) || (m->port = port_open(&port, &m->eal, err)) == NULL)
        return false;
    m->lcore_count = (unsigned)m->eal.lcore_count;
    m->capturer = machine_capturer_new(m);
    m->node.lcore_count = m->lcore_count;
    m->node.control = control;
    m->node.info_network = machine_info_network;
    flow_init(&m->steering, rss_key, (uint16_t)m->lcore_count);
    commands_init();
    m->keyspace = keyspace_new(object_ops);
    if (m->keyspace == NULL) {
        snprintf(err, MACHINE_ERROR_SIZE, "the keyspace cannot be built: out of memory");
        return false;
    }
    return machine_build_lcores(m, err);
}

void machine_launch(struct machine *m)
{
    for (unsigned i = 0; i < m->lcore_count; i++)
        eal_lcore_launch(&m->eal, (int)i, lcore_run, m->lcores[i]);
}

void machine_halt(struct machine *m)
{
    for (unsigned i = 0; i < m->lcore_count; i++)
        lcore_stop(m->lcores[i]);
    eal_lcores_join(&m->eal);
}

void machine_destroy(struct machine *m)
{
    for (unsigned i = 0; i < m->lcore_count && m->lcores[i] != NULL; i++)
        lcore_free(m->lcores[i]);
    if (m->keyspace != NULL)
        keyspace_free(m->keyspace);
    capturer_free(m->capturer);
    if (m->port != NULL)
        port_close(m->port);
    eal_stop(&m->eal);
}

void machine_watch(struct machine *m, uint64_t now_us)
{
    port_poll(m->port);
    rates_sample(now_us);
    allocator_stats_sample(now_us, ks_used_bytes(m->keyspace) + ks_retired_bytes(m->keyspace));
    for (unsigned i = 0; i < m->lcore_count; i++) {
        uint64_t beat = atomic_load_explicit(&m->lcores[i]->heartbeat_us, memory_order_relaxed);
        bool stopped = beat != 0 && now_us > beat + HEART_STOPPED_US;
        if (stopped && !m->heart_stopped[i])
            log_warning("lcore %u has not finished a round for %lu ms", i, (now_us - beat) / 1000);
        else if (!stopped && m->heart_stopped[i])
            log_warning("lcore %u goes on", i);
        m->heart_stopped[i] = stopped;
    }
}
