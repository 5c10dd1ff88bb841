/* The load generator: many pipelining Redis clients on one lcore, over the node's own stack and any port
 * that the node itself can use. Prints one line per figure: "loadgen METRIC VALUE UNIT".
 *
 * One lcore, polling; EAL's main thread only waits. */
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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
#define CONNECT_BURST 64     /* connections opened per round: a listener's backlog is finite */
#define CONNECT_WAIT_US 10000000

struct options {
    const char *nic, *ip, *server, *lcores;
    uint16_t port;
    unsigned seconds, connections;
    bool huge;
    struct load_plan plan;
};

struct generator {
    const struct options *options;
    struct port_queue *queue;
    struct flow_steering steering;
    struct netif *net;
    struct tcp *tcp;
    struct load load;
    struct ip_addr server;
    unsigned opened;
    uint64_t end_us;
    bool failed;
};

static void usage(void)
{
    fputs("slotwire-loadgen --nic SPEC --ip ADDR/PREFIX --server ADDR [--port 6379] [--lcores 1-1]\n"
          "  [--connections 50] [--pipeline 1] [--seconds 5] [--command get|set|ping]\n"
          "  [--keys 100000] [--value-bytes 32] [--fill] [--huge]\n"
          "--fill sets every key once instead of running for a time.\n",
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
    static const struct option longs[] = {
        {"nic", 1, 0, 'n'},     {"ip", 1, 0, 'i'},      {"server", 1, 0, 's'},
        {"port", 1, 0, 'p'},    {"lcores", 1, 0, 'l'},  {"connections", 1, 0, 'c'},
        {"pipeline", 1, 0, 'P'}, {"seconds", 1, 0, 't'}, {"command", 1, 0, 'm'},
        {"keys", 1, 0, 'k'},    {"value-bytes", 1, 0, 'v'}, {"fill", 0, 0, 'f'},
        {"huge", 0, 0, 'h'},    {0, 0, 0, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'n': o->nic = optarg; break;
        case 'i': o->ip = optarg; break;
        case 's': o->server = optarg; break;
        case 'l': o->lcores = optarg; break;
        case 'p': o->port = (uint16_t)atoi(optarg); break;
        case 'c': o->connections = (unsigned)atoi(optarg); break;
        case 'P': o->plan.pipeline = (unsigned)atoi(optarg); break;
        case 't': o->seconds = (unsigned)atoi(optarg); break;
        case 'k': o->plan.keys = (unsigned)atoi(optarg); break;
        case 'v': o->plan.value_bytes = (unsigned)atoi(optarg); break;
        case 'f': o->plan.fill = true; break;
        case 'h': o->huge = true; break;
        case 'm':
            if (!parse_command(optarg, &o->plan.command))
                return false;
            break;
        default: return false;
        }
    }
    return o->nic != NULL && o->ip != NULL && o->server != NULL && o->connections > 0 &&
           o->seconds > 0 && load_plan_valid(&o->plan);
}

static void open_some(struct generator *g)
{
    for (unsigned i = 0; i < CONNECT_BURST && g->opened < g->options->connections; i++) {
        if (!load_client_open(&g->load, g->tcp, &g->server, g->options->port))
            return; /* the neighbour is not resolved yet, or no port: next round */
        g->opened++;
    }
}

static void round_once(struct generator *g)
{
    struct rte_mbuf *frames[RX_BURST];
    uint64_t now_us = clock_now_us();
    g->net->now_us = now_us;
    g->load.now_us = now_us;
    uint16_t n = g->queue->rx(g->queue, frames, RX_BURST);
    if (n > 0)
        netif_input(g->net, frames, n);
    tcp_timers(g->tcp, 256);
    netif_tick(g->net);
    tcp_deliver(g->tcp);
    tcp_flush(g->tcp);
    if (g->net->tx_count > 0)
        netif_flush(g->net);
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
        load_start(&g->load);
        g->end_us = clock_now_us() + (uint64_t)g->options->seconds * 1000000;
        while (!load_finished(&g->load) && g->load.broken == 0 &&
               (g->options->plan.fill || clock_now_us() < g->end_us))
            round_once(g);
        load_stop(&g->load);
    }
    tcp_free(g->tcp);
    netif_flush(g->net);
    qsbr_unregister();
    return 0;
}

static bool generator_build(struct generator *g, const struct options *o)
{
    uint8_t key[RSS_KEY_SIZE];
    random_secret(key, sizeof(key));
    flow_init(&g->steering, key, 1);
    struct netif_config net = {.mtu = 1500, .seed = 1, .steering = &g->steering};
    if (!ip_addr_parse(o->ip, &net.ip4, &net.prefix4) || !ip_addr_parse(o->server, &g->server, NULL))
        return false;
    memcpy(net.mac, g->queue->info->mac, 6);
    g->net = netif_new(g->queue, &net, tcp_l4_ops(), NULL);
    struct tcp_config tcp = {.conns_max = o->connections + 1024,
                             .backlog = 16,
                             .rx_memory_bytes = 256u << 20,
                             .steering = &g->steering,
                             .seed = 7};
    random_secret(tcp.secret, sizeof(tcp.secret));
    if (g->net == NULL)
        return false;
    g->net->now_us = clock_now_us();
    g->tcp = tcp_new(g->net, &tcp);
    g->net->l4_arg = g->tcp;
    return g->tcp != NULL && load_init(&g->load, &o->plan, o->connections);
}

int main(int argc, char **argv)
{
    struct options o = {.lcores = "1-1", .port = 6379, .seconds = 5, .connections = 50,
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
    struct eal_options eal_options = {.nic = o.nic, .lcores = o.lcores, .packet_buffers = 32768,
                                      .mtu = 1500, .file_prefix = "",
                                      .hugepages = o.huge ? HUGEPAGES_YES : HUGEPAGES_NO};
    uint8_t rss_key[RSS_KEY_SIZE] = {1};
    struct port_options port_options = {.nic = o.nic, .fault = "", .mac = "02:00:00:00:10:01",
                                        .mtu = 1500, .rss_key = rss_key};
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
    if (!g.failed)
        load_print(&g.load);
    netif_free(g.net);
    port_close(port);
    eal_stop(&eal);
    return g.failed || g.load.broken > 0 || g.load.counted.errors > 0;
}
