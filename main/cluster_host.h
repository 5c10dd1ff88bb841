/* What the machine does for its cluster's control plane: counts of keys, orders to the lcores, the
 * view that they read. Control thread. */
#pragma once
#include "cluster_shell.h"
#include "machine.h"

struct cluster_seat {
    struct machine *machine; /* borrowed */
    struct control *control;
    struct cluster_shared shared;
};

/* The configuration says cluster-enabled yes: from now on the machine's lcores read seat's view. */
struct cluster_host cluster_host_make(struct cluster_seat *seat);
/* Before the machine is built: its lcores will end the links of control's bus, if it has one. */
void cluster_seat_connect(struct cluster_seat *seat, struct control *control);
