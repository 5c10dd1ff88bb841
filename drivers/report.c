#include <stdio.h>
#include "port_open.h"

static void report_port(const struct port_info *info, const struct port_queue *queue, FILE *out)
{
    const uint8_t *m = info->mac;
    fprintf(out, "port %s: driver %s, MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, link %s\n",
            info->name, info->driver, m[0], m[1], m[2], m[3], m[4], m[5], info->mtu,
            queue->link_up ? "up" : "down");
    fprintf(out, "queues: %u receive, %u transmit; flows spread by %s\n", info->queue_count,
            info->queue_count,
            info->queue_count == 1         ? "nothing, there is one"
            : info->caps & PORT_RX_STEERED ? "the port's RSS"
                                           : "software, from ring to ring");
    if (queue->wake_fd >= 0)
        fprintf(out, "wake-up: by the port\n");
    else
        fprintf(out, "wake-up: the port has none, an idle lcore looks every %u us\n",
                queue->idle_max_us);
}

static void report_offloads(uint32_t caps, FILE *out)
{
    fprintf(
        out,
        "offloads: checksums in %s, segmentation %s, chains %s, scattered receive %s, hash in %s\n",
        caps & PORT_TX_CHECKSUM ? "the port" : "software",
        caps & PORT_TX_TSO   ? "in the port"
        : caps & PORT_TX_GSO ? "in software"
                             : "by TCP",
        caps & PORT_TX_MULTI_SEG ? "sent as they are" : "copied together",
        caps & PORT_RX_SCATTER ? "on" : "off", caps & PORT_RX_HASH ? "the port" : "software");
}

static void report_memory(const struct eal *eal, FILE *out)
{
    if (eal->hugepages)
        fprintf(out, "memory: hugepages of %zu kB, ", eal->hugepage_size_bytes >> 10);
    else
        fprintf(out, "memory: no hugepages, ");
    fprintf(out, "%zu MB; %u buffers of %u bytes per lcore\n", eal->memory_bytes >> 20,
            eal->packet_buffers, eal->data_room_bytes);
}

void report_write(struct port *port, const struct eal *eal, FILE *out)
{
    const struct port_info *info = port_info_get(port);
    report_port(info, port_queue_get(port, 0), out);
    report_offloads(info->caps, out);
    report_memory(eal, out);
    if (info->numa_node >= 0)
        fprintf(out, "NUMA: the port is on node %d\n", info->numa_node);
    else
        fprintf(out, "NUMA: the port's node is not known\n");
    fprintf(out, "lcores: %d:", eal->lcore_count);
    for (int i = 0; i < eal->lcore_count; i++)
        fprintf(out, " %d on CPU %d (node %d)%s", i, eal->lcore[i].cpu, eal->lcore[i].numa_node,
                i + 1 < eal->lcore_count ? "," : "\n");
}
