/* What the control thread does for clients' requests (admin_mail.h). */
#pragma once
#include <stdbool.h>
#include "admin_mail.h"

struct control;

struct control_server {
    struct admin_server admin; /* first */
    struct control *control;
    char *config_path; /* "": no file */
    bool ending;       /* requests are dropped: there is nobody to answer */
};

void control_server_init(struct control_server *server, struct control *control,
                         const char *config_path);
void control_server_fini(struct control_server *server);
