#include "port_open.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "clock.h"
#include "port_ethdev.h"
#include "port_fault.h"
#include "port_spec.h"

struct port {
    struct ethdev_port *ethdev;
    struct port_queue
        *queue[EAL_LCORES_MAX]; /* what the lcores see: the ethdev's, or its wrapper */
    bool faulty;
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

static uint64_t real_now_us(void *arg)
{
    return clock_now_us();
}

static void queues_set(struct port *port, const struct fault_spec *fault)
{
    port->faulty = fault_spec_any(fault);
    for (int i = 0; i < port->ethdev->queue_count; i++) {
        struct port_queue *inner = &port->ethdev->queue[i].base;
        struct port_fault_clock clock = {real_now_us, NULL};
        port->queue[i] = port->faulty ? port_fault_new(inner, fault, clock) : inner;
    }
}

struct port *port_open(const struct port_options *options, const struct eal *eal,
                       char err[PORT_ERROR_SIZE])
{
    struct port_spec spec;
    struct fault_spec fault;
    if (!port_spec_parse(options->nic, &spec, err) ||
        !fault_spec_parse(options->fault, &fault, err))
        return NULL;
    struct port *port = calloc(1, sizeof(*port));
    CHECK(port != NULL);
    port->ethdev = ethdev_open(options, &spec, eal, err);
    if (port->ethdev == NULL) {
        free(port);
        return NULL;
    }
    queues_set(port, &fault);
    return port;
}

struct port_queue *port_queue_get(struct port *port, int index)
{
    CHECK(index >= 0 && index < port->ethdev->queue_count);
    return port->queue[index];
}

const struct port_info *port_info_get(const struct port *port)
{
    return port->queue[0]->info;
}

struct capture_hook *port_capture_hook(struct port *port, int index)
{
    CHECK(index >= 0 && index < port->ethdev->queue_count);
    return &port->ethdev->queue[index].stage.capture;
}

uint16_t port_device_id(const struct port *port)
{
    return port->ethdev->port_id;
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
    int count = port->ethdev->queue_count;
    /* The driver first: it may still hold frames made of the wrapper's buffers. */
    ethdev_close(port->ethdev);
    for (int i = 0; port->faulty && i < count; i++)
        port_fault_free(port->queue[i]);
    free(port);
}
