/* What the machine does for its cluster's control plane: counts of keys, orders to the lcores, the
 * view that they read. Control thread. */
#pragma once
#include "cluster_shell.h"
#include "machine.h"

/* Borrows both; arg of fatal() is control, which may be set later. */
struct cluster_seat {
    struct machine *machine;
    struct control *control;
    struct cluster_shared shared;
};

/* The configuration says cluster-enabled yes: from now on the machine's lcores read seat's view. */
struct cluster_host cluster_host_make(struct cluster_seat *seat);
