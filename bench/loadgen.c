/* The load generator: many pipelining Redis clients on one lcore, over the node's own stack and any
 * port that the node itself can use. Prints one line per figure: "loadgen METRIC VALUE UNIT".
 *
 * One lcore, polling; EAL's main thread only waits. */
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include "check.h"
#include "clock.h"
#include "eal.h"
#include "flow.h"
#include "load_client.h"
#include "log.h"
#include "metrics.h"
#include "netif.h"
#include "port_open.h"
#include "qsbr.h"
#include "rng.h"
#include "tcp.h"

#define RX_BURST 32
#define CONNECT_BURST 64 /* connections opened per round: a listener's backlog is finite */
#define CONNECT_WAIT_US 60000000
#define ADDRESSES_MAX 8 /* each has its own ports: some 28,000 connections */

struct options {
    const char *nic, *ip, *server, *lcores;
    uint16_t port;
    unsigned seconds, connections, addresses;
    bool huge;
    struct load_plan plan;
};

/* One address with a stack of its own; all share the port. */
struct host {
    struct netif *net;
    struct tcp *tcp;
};

struct generator {
    const struct options *options;
    struct port_queue *queue;
    struct flow_steering steering;
    struct host hosts[ADDRESSES_MAX];
    struct ip_addr first;
    struct load load;
    struct ip_addr server;
    unsigned opened;
    uint64_t end_us;
    bool failed;
};

static void usage(void)
{
    fputs(
        "slotwire-loadgen --nic SPEC --ip ADDR/PREFIX --server ADDR [--port 6379] [--lcores 1-1]\n"
        "  [--connections 50] [--pipeline 1] [--seconds 5] [--command get|set|ping]\n"
        "  [--keys 100000] [--value-bytes 32] [--fill | --hold] [--huge] [--addresses 1]\n"
        "--fill sets every key once instead of running for a time; --hold opens the connections\n"
        "and leaves them idle; --addresses N spreads them over N source addresses from --ip on.\n",
        stderr);
}

static bool parse_command(const char *word, enum load_command *out)
{
    static const char *const words[] = {"get", "set", "ping"};
    for (unsigned i = 0; i < count_of(words); i++) {
        if (strcmp(words[i], word) == 0) {
            *out = (enum load_command)i;
            return true;
        }
    }
    return false;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"nic", 1, 0, 'n'},         {"ip", 1, 0, 'i'},
                                          {"server", 1, 0, 's'},      {"port", 1, 0, 'p'},
                                          {"lcores", 1, 0, 'l'},      {"connections", 1, 0, 'c'},
                                          {"pipeline", 1, 0, 'P'},    {"seconds", 1, 0, 't'},
                                          {"command", 1, 0, 'm'},     {"keys", 1, 0, 'k'},
                                          {"value-bytes", 1, 0, 'v'}, {"fill", 0, 0, 'f'},
                                          {"huge", 0, 0, 'h'},        {"hold", 0, 0, 'o'},
                                          {"addresses", 1, 0, 'a'},   {0, 0, 0, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            o->nic = optarg;
            break;
        case 'i':
            o->ip = optarg;
            break;
        case 's':
            o->server = optarg;
            break;
        case 'l':
            o->lcores = optarg;
            break;
        case 'p':
            o->port = (uint16_t)atoi(optarg);
            break;
        case 'c':
            o->connections = (unsigned)atoi(optarg);
            break;
        case 'P':
            o->plan.pipeline = (unsigned)atoi(optarg);
            break;
        case 't':
            o->seconds = (unsigned)atoi(optarg);
            break;
        case 'k':
            o->plan.keys = (unsigned)atoi(optarg);
            break;
        case 'v':
            o->plan.value_bytes = (unsigned)atoi(optarg);
            break;
        case 'f':
            o->plan.fill = true;
            break;
        case 'h':
            o->huge = true;
            break;
        case 'o':
            o->plan.hold = true;
            break;
        case 'a':
            o->addresses = (unsigned)atoi(optarg);
            break;
        case 'm':
            if (!parse_command(optarg, &o->plan.command))
                return false;
            break;
        default:
            return false;
        }
    }
    return o->nic != NULL && o->ip != NULL && o->server != NULL && o->connections > 0 &&
           o->seconds > 0 && o->addresses > 0 && o->addresses <= ADDRESSES_MAX &&
           load_plan_valid(&o->plan);
}

static void open_some(struct generator *g)
{
    /* No more half-open ones than a listener's backlog takes. */
    for (unsigned i = 0; i < CONNECT_BURST && g->opened < g->options->connections &&
                         g->opened - g->load.connected < CONNECT_BURST;
         i++) {
        struct tcp *tcp = g->hosts[g->opened % g->options->addresses].tcp;
        if (!load_client_open(&g->load, tcp, &g->server, g->options->port))
            return; /* the neighbour is not resolved yet, or no port: next round */
        g->opened++;
    }
}

/* Which host a frame is for: by the last byte of the IPv4 destination, or of an ARP packet's
 * target. */
static unsigned frame_host(const struct generator *g, struct rte_mbuf *m)
{
    const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
    unsigned at = eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP) ? 41 : 33;
    if (rte_pktmbuf_data_len(m) <= at)
        return 0;
    uint8_t last = *rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
    unsigned host = (unsigned)(uint8_t)(last - g->first.b[15]);
    return host < g->options->addresses ? host : 0;
}

static void receive(struct generator *g)
{
    struct rte_mbuf *frames[RX_BURST];
    uint16_t n = g->queue->rx(g->queue, frames, RX_BURST);
    if (n == 0)
        return;
    if (g->options->addresses == 1) {
        netif_input(g->hosts[0].net, frames, n);
        return;
    }
    for (uint16_t i = 0; i < n; i++)
        netif_input(g->hosts[frame_host(g, frames[i])].net, &frames[i], 1);
}

static void round_once(struct generator *g)
{
    uint64_t now_us = clock_now_us();
    g->load.now_us = now_us;
    for (unsigned i = 0; i < g->options->addresses; i++)
        g->hosts[i].net->now_us = now_us;
    receive(g);
    for (unsigned i = 0; i < g->options->addresses; i++) {
        struct host *h = &g->hosts[i];
        tcp_timers(h->tcp, 256);
        netif_tick(h->net);
        tcp_deliver(h->tcp);
        tcp_flush(h->tcp);
        if (h->net->tx_count > 0)
            netif_flush(h->net);
    }
    qsbr_quiescent();
}

static bool connect_all(struct generator *g)
{
    uint64_t until_us = clock_now_us() + CONNECT_WAIT_US;
    while (g->load.connected < g->options->connections) {
        open_some(g);
        round_once(g);
        if (clock_now_us() > until_us || g->load.broken > 0)
            return false;
    }
    return true;
}

static int generator_run(void *arg)
{
    struct generator *g = arg;
    qsbr_register();
    metrics_attach(0);
    if (!connect_all(g)) {
        fprintf(stderr, "loadgen: only %u of %u connections came up\n", g->load.connected,
                g->options->connections);
        g->failed = true;
    } else {
        printf("loadgen connected %u connections\n", g->load.connected);
        fflush(stdout);
        if (!g->options->plan.hold)
            load_start(&g->load);
        g->end_us = clock_now_us() + (uint64_t)g->options->seconds * 1000000;
        while (!load_finished(&g->load) && g->load.broken == 0 &&
               (g->options->plan.fill || clock_now_us() < g->end_us))
            round_once(g);
        load_stop(&g->load);
    }
    for (unsigned i = 0; i < g->options->addresses; i++) {
        tcp_free(g->hosts[i].tcp);
        netif_flush(g->hosts[i].net);
    }
    qsbr_unregister();
    return 0;
}

static bool host_build(struct generator *g, struct host *h, struct netif_config *net)
{
    struct tcp_config tcp = {.conns_max = g->options->connections / g->options->addresses + 1024,
                             .backlog = 16,
                             .rx_memory_bytes = 256u << 20,
                             .steering = &g->steering,
                             .seed = 7};
    random_secret(tcp.secret, sizeof(tcp.secret));
    h->net = netif_new(g->queue, net, tcp_l4_ops(), NULL);
    if (h->net == NULL)
        return false;
    h->net->now_us = clock_now_us();
    h->tcp = tcp_new(h->net, &tcp);
    h->net->l4_arg = h->tcp;
    return h->tcp != NULL;
}

static bool generator_build(struct generator *g, const struct options *o)
{
    uint8_t key[RSS_KEY_SIZE];
    random_secret(key, sizeof(key));
    flow_init(&g->steering, key, 1);
    struct netif_config net = {.mtu = 1500, .seed = 1, .steering = &g->steering};
    if (!ip_addr_parse(o->ip, &net.ip4, &net.prefix4) ||
        !ip_addr_parse(o->server, &g->server, NULL))
        return false;
    g->first = net.ip4;
    memcpy(net.mac, g->queue->info->mac, 6);
    for (unsigned i = 0; i < o->addresses; i++) {
        if (!host_build(g, &g->hosts[i], &net))
            return false;
        net.ip4.b[15]++;
    }
    return load_init(&g->load, &o->plan, o->connections);
}

int main(int argc, char **argv)
{
    struct options o = {.lcores = "1-1",
                        .port = 6379,
                        .seconds = 5,
                        .connections = 50,
                        .addresses = 1,
                        .plan = {.pipeline = 1, .keys = 100000, .value_bytes = 32}};
    if (!parse_options(argc, argv, &o)) {
        usage();
        return 2;
    }
    clock_init();
    (void)log_open(NULL, LOG_LEVEL_WARNING);
    config_publish(config_new());
    static struct generator g;
    struct eal eal;
    char err[PORT_ERROR_SIZE];
    struct eal_options eal_options = {.nic = o.nic,
                                      .lcores = o.lcores,
                                      .packet_buffers = 32768,
                                      .mtu = 1500,
                                      .file_prefix = "",
                                      .hugepages = o.huge ? HUGEPAGES_YES : HUGEPAGES_NO};
    uint8_t rss_key[RSS_KEY_SIZE] = {1};
    struct port_options port_options = {
        .nic = o.nic, .fault = "", .mac = "02:00:00:00:10:01", .mtu = 1500, .rss_key = rss_key};
    struct port *port = NULL;
    g.options = &o;
    if (!eal_start(&eal_options, &eal, err) ||
        (port = port_open(&port_options, &eal, err)) == NULL) {
        fprintf(stderr, "loadgen: %s\n", err);
        return 1;
    }
    g.queue = port_queue_get(port, 0);
    if (!generator_build(&g, &o)) {
        fprintf(stderr, "loadgen: bad addresses, or out of memory\n");
        return 1;
    }
    eal_lcore_launch(&eal, 0, generator_run, &g);
    eal_lcores_join(&eal);
    if (!g.failed && !o.plan.hold)
        load_print(&g.load);
    for (unsigned i = 0; i < o.addresses; i++)
        netif_free(g.hosts[i].net);
    port_close(port);
    eal_stop(&eal);
    return g.failed || g.load.broken > 0 || g.load.counted.errors > 0;
}
