/* The node put together: EAL, port, keyspace, lcores. Control thread only; built once, in the order
 * of the fields, taken down in reverse. */
#pragma once
#include <stdbool.h>
#include "config.h"
#include "eal.h"
#include "flow.h"
#include "lcore.h"
#include "port_open.h"
#include "worker.h"

#define MACHINE_ERROR_SIZE 768

struct machine {
    struct node node;
    struct eal eal;
    struct port *port;
    struct capturer *capturer;
    struct flow_steering steering;
    struct keyspace *keyspace;
    struct bus_path *bus_paths[LCORES_MAX]; /* set before it is built; NULL: no cluster */
    uint16_t bus_port;
    struct lcore *lcores[LCORES_MAX];
    unsigned lcore_count;
    bool heart_stopped[LCORES_MAX]; /* told already */
};

/* What the configuration says of port and addresses, before anything is built or opened; false: err
 * says what is wrong. */
bool machine_check(const struct config *config, char err[MACHINE_ERROR_SIZE]);
/* Builds everything from the published configuration; false: err says what is missing and what to
 * do. */
bool machine_build(struct machine *m, struct mailbox *control, char err[MACHINE_ERROR_SIZE]);
/* Sends the lcores into their loops. */
void machine_launch(struct machine *m);
/* Asks the lcores to stop and waits for them. */
void machine_halt(struct machine *m);
void machine_destroy(struct machine *m);
/* Control thread, ten times a second: link state, rates for INFO, lcores whose heart has stopped
 * (logged). */
void machine_watch(struct machine *m, uint64_t now_us);
