/* What the control thread does for clients' requests (admin_mail.h).
 *
 * CONFIG REWRITE waits for the disk, so a helper thread does it, one at a time; the others stand in
 * line, one per parked client at most. */
#pragma once
#include <stdbool.h>
#include "admin_mail.h"
#include "capture_serve.h"

struct control;
struct cluster_shell;
struct links;
struct rewrite;

struct control_server {
    struct admin_server admin; /* first */
    struct control *control;
    struct links *links;
    struct cluster_shell *cluster; /* NULL: cluster-enabled no */
    struct capture_desk capture;
    unsigned peer_lcore_next;        /* the next DEBUG PEER's */
    char *config_path;               /* "": no file */
    bool ending;                     /* requests are dropped: there is nobody to answer */
    struct rewrite *rewriting;       /* the helper's */
    struct admin_request *line_head; /* rewrites that wait */
    struct admin_request *line_tail;
};

void control_server_init(struct control_server *server, struct control *control,
                         const char *config_path);
/* Waits for the helper. */
void control_server_fini(struct control_server *server);
