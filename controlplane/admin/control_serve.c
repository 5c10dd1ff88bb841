#include "control_serve.h"
#include <stdlib.h>
#include <string.h>
#include "allocator.h"
#include "check.h"
#include "config.h"
#include "config_apply.h"
#include "config_rewrite.h"
#include "control.h"
#include "log.h"
#include "metrics.h"

_Static_assert(ADMIN_ERROR_SIZE >= CONFIG_APPLY_ERROR_SIZE, "errors fit into the request");
_Static_assert(ADMIN_ERROR_SIZE >= CONFIG_REWRITE_ERROR_SIZE, "errors fit into the request");

static void serve_rewrite(struct control_server *server, struct admin_request *request)
{
    if (config_rewrite(config_get(), server->config_path, request->error))
        log_notice("CONFIG REWRITE executed with success.");
    else
        log_warning("CONFIG REWRITE failed: %s", request->error);
}

static bool serve(struct admin_server *admin, struct admin_request *request)
{
    struct control_server *server = (struct control_server *)admin;
    if (server->ending)
        return false;
    switch (request->kind) {
    case ADMIN_CONFIG_SET:
        (void)config_apply_set(request->words, request->word_count, request->local, request->error);
        return true;
    case ADMIN_CONFIG_REWRITE:
        serve_rewrite(server, request);
        return true;
    case ADMIN_CONFIG_RESETSTAT:
        metrics_reset();
        return true;
    case ADMIN_SHUTDOWN:
        control_stop(server->control, "SHUTDOWN");
        return false;
    case ADMIN_MEMORY_PURGE:
        allocator_purge();
        return true;
    case ADMIN_MALLOC_STATS:
        request->text = allocator_report(&request->text_len);
        return true;
    }
    check_failed(__FILE__, __LINE__, "a kind of request that nobody serves");
}

void control_server_init(struct control_server *server, struct control *control,
                         const char *config_path)
{
    server->admin.serve = serve;
    server->control = control;
    server->config_path = strdup(config_path ? config_path : "");
    CHECK(server->config_path);
}

void control_server_fini(struct control_server *server)
{
    free(server->config_path);
}
