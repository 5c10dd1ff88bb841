#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "machine.h"
#include "machine_info.h"

static void info_port(FILE *out, const struct machine *m)
{
    const struct port_info *p = port_info_get(m->port);
    struct port_stats s;
    fprintf(out, "port:%s\r\nport_driver:%s\r\nport_queues:%u\r\nport_mtu:%u\r\n", p->name,
            p->driver, p->queue_count, p->mtu);
    fprintf(out, "port_caps:0x%x\r\nhugepages:%s\r\nlcores:%u\r\n", p->caps,
            m->eal.hugepages ? "yes" : "no", m->lcore_count);
    fprintf(out, "packet_buffers:%u\r\npacket_buffers_used:%lu\r\n",
            m->eal.packet_buffers * m->lcore_count, eal_buffers_used(&m->eal));
    if (port_stats_get(m->port, &s))
        fprintf(out, "port_rx_missed:%lu\r\nport_rx_no_buffer:%lu\r\nport_tx_errors:%lu\r\n",
                s.rx_missed, s.rx_no_buffer, s.tx_errors);
}

static void info_net_stats(FILE *out, const struct machine *m)
{
    struct net_stats sum = {0};
    for (unsigned i = 0; i < m->lcore_count; i++) {
        const volatile struct net_stats *s = m->lcores[i]->net->stats;
#define X(name) sum.name += s->name;
        NET_STATS
#undef X
    }
#define X(name) fprintf(out, "net_" #name ":%lu\r\n", sum.name);
    NET_STATS
#undef X
}

static void info_tcp_stats(FILE *out, const struct machine *m)
{
    struct tcp_stats sum = {0};
    for (unsigned i = 0; i < m->lcore_count; i++) {
        const volatile struct tcp_stats *s = tcp_stats(m->lcores[i]->tcp);
#define X(name) sum.name += s->name;
        TCP_STATS
#undef X
    }
#define X(name) fprintf(out, "tcp_" #name ":%lu\r\n", sum.name);
    TCP_STATS
#undef X
}

void machine_info_network(struct node *node, char **text, size_t *len)
{
    const struct machine *m = container_from(node, struct machine, node);
    char *lines = NULL;
    size_t lines_len = 0;
    FILE *out = open_memstream(&lines, &lines_len);
    if (out == NULL)
        return;
    info_port(out, m);
    info_net_stats(out, m);
    info_tcp_stats(out, m);
    fclose(out);
    char *all = realloc(*text, *len + lines_len + 1);
    if (all != NULL) {
        memcpy(all + *len, lines, lines_len + 1);
        *text = all;
        *len += lines_len;
    }
    free(lines);
}
