/* Inside of the CLUSTER command: one function per subcommand. argv[0] is the subcommand. */
#pragma once
#include "cluster_state.h"

typedef void cluster_admin_run(struct cluster *c, const struct cluster_admin *admin);

/* The node that argv[1] names; NULL: the error was sent ("Unknown node …"). */
struct cluster_node *admin_node(struct cluster *c, const struct cluster_admin *admin, uint32_t arg);
/* A reply other than +OK, as cluster_admin_ok_settled(). */
void admin_reply_settled(struct cluster *c, const struct cluster_admin *admin, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));
void admin_syntax_error(struct cluster *c, const struct cluster_admin *admin);

/* cluster_admin_slots.c */
cluster_admin_run admin_addslots, admin_delslots, admin_flushslots, admin_setslot;
/* cluster_admin_nodes.c */
cluster_admin_run admin_meet, admin_forget, admin_replicate, admin_reset, admin_bumpepoch,
    admin_set_config_epoch;
