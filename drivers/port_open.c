#include "port_open.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "port_ethdev.h"
#include "port_spec.h"

struct port {
    struct ethdev_port *ethdev;
};

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

struct port_options port_options_from(const struct config *config, const uint8_t *rss_key)
{
    return (struct port_options){.nic = or_empty(config->nic),
                                 .fault = or_empty(config->nic_fault),
                                 .mac = or_empty(config->mac),
                                 .ip = or_empty(config->ip),
                                 .mtu = (uint16_t)config->mtu,
                                 .rss_key = rss_key};
}

struct port *port_open(const struct port_options *options, const struct eal *eal,
                       char err[PORT_ERROR_SIZE])
{
    struct port_spec spec;
    if (!port_spec_parse(options->nic, &spec, err))
        return NULL;
    struct port *port = calloc(1, sizeof(*port));
    CHECK(port != NULL);
    port->ethdev = ethdev_open(options, &spec, eal, err);
    if (port->ethdev != NULL)
        return port;
    free(port);
    return NULL;
}

struct port_queue *port_queue_get(struct port *port, int index)
{
    CHECK(index >= 0 && index < port->ethdev->queue_count);
    return &port->ethdev->queue[index].base;
}

const struct port_info *port_info_get(const struct port *port)
{
    return &port->ethdev->info;
}

void port_poll(struct port *port)
{
    ethdev_poll(port->ethdev);
}

bool port_stats_get(const struct port *port, struct port_stats *stats)
{
    return ethdev_stats(port->ethdev, stats);
}

void port_close(struct port *port)
{
    if (port == NULL)
        return;
    ethdev_close(port->ethdev);
    free(port);
}
