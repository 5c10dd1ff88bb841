#include "control_serve.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "allocator.h"
#include "check.h"
#include "cluster_shell.h"
#include "config.h"
#include "config_apply.h"
#include "config_rewrite.h"
#include "control.h"
#include "log.h"
#include "metrics.h"
#include "peer_ping.h"

_Static_assert(ADMIN_ERROR_SIZE >= CONFIG_APPLY_ERROR_SIZE, "errors fit into the request");
_Static_assert(ADMIN_ERROR_SIZE >= CONFIG_REWRITE_ERROR_SIZE, "errors fit into the request");

/* One CONFIG REWRITE; the helper's until it posts the mail. */
struct rewrite {
    struct mail mail; /* first */
    pthread_t thread;
    struct mailbox *control;
    const char *path;
    struct config *config; /* a copy: the helper is no RCU reader */
    struct admin_request *request;
};

/* ---- CONFIG REWRITE ---- */

static void rewrite_free(struct rewrite *rewrite)
{
    config_free(rewrite->config);
    free(rewrite);
}

static void *rewrite_main(void *arg)
{
    struct rewrite *rewrite = arg;
    (void)config_rewrite(rewrite->config, rewrite->path, rewrite->request->error);
    mail_post(rewrite->control, &rewrite->mail);
    return NULL;
}

static void rewrite_next(struct control_server *server);

static void rewrite_answer(struct admin_request *request)
{
    if (request->error[0] == '\0')
        log_notice("CONFIG REWRITE executed with success.");
    else
        log_warning("CONFIG REWRITE failed: %s", request->error);
    admin_request_answer(request);
}

/* Back on the control thread. */
static void rewrite_done(struct mail *mail, void *receiver)
{
    struct rewrite *rewrite = (struct rewrite *)mail;
    struct control_server *server = receiver;
    CHECK(server->rewriting == rewrite);
    server->rewriting = NULL;
    pthread_join(rewrite->thread, NULL);
    rewrite_answer(rewrite->request);
    rewrite_free(rewrite);
    rewrite_next(server);
}

static void rewrite_start(struct control_server *server, struct admin_request *request)
{
    struct rewrite *rewrite = calloc(1, sizeof(*rewrite));
    CHECK(rewrite);
    rewrite->mail.run = rewrite_done;
    rewrite->control = control_mailbox(server->control);
    rewrite->path = server->config_path;
    rewrite->config = config_copy(config_get());
    rewrite->request = request;
    server->rewriting = rewrite;
    if (pthread_create(&rewrite->thread, NULL, rewrite_main, rewrite) == 0)
        return;
    /* No threads to be had: the control thread waits for the disk itself. */
    server->rewriting = NULL;
    (void)config_rewrite(rewrite->config, rewrite->path, request->error);
    rewrite_answer(request);
    rewrite_free(rewrite);
}

static struct admin_request *line_take(struct control_server *server)
{
    struct admin_request *request = server->line_head;
    if (request)
        server->line_head = request->next;
    return request;
}

static void rewrite_next(struct control_server *server)
{
    while (!server->rewriting) {
        struct admin_request *request = line_take(server);
        if (!request)
            return;
        rewrite_start(server, request);
    }
}

static enum admin_outcome serve_rewrite(struct control_server *server,
                                        struct admin_request *request)
{
    request->next = NULL;
    if (server->line_head)
        server->line_tail->next = request;
    else
        server->line_head = request;
    server->line_tail = request;
    rewrite_next(server);
    return ADMIN_LATER;
}

/* ---- all requests ---- */

static enum admin_outcome serve(struct admin_server *admin, struct admin_request *request)
{
    struct control_server *server = (struct control_server *)admin;
    if (server->ending)
        return ADMIN_NEVER;
    switch (request->kind) {
    case ADMIN_CONFIG_SET:
        (void)config_apply_set(request->words, request->word_count, request->local, request->error);
        return ADMIN_DONE;
    case ADMIN_CONFIG_REWRITE:
        return serve_rewrite(server, request);
    case ADMIN_CONFIG_RESETSTAT:
        metrics_reset();
        return ADMIN_DONE;
    case ADMIN_SHUTDOWN:
        control_stop(server->control, "SHUTDOWN");
        return ADMIN_NEVER;
    case ADMIN_MEMORY_PURGE:
        allocator_purge();
        return ADMIN_DONE;
    case ADMIN_MALLOC_STATS:
        request->text = allocator_report(&request->text_len);
        return ADMIN_DONE;
    case ADMIN_CLUSTER:
        return cluster_shell_serve(server->cluster, request);
    case ADMIN_PEER_PING:
        return peer_ping_serve(server, request);
    case ADMIN_CAPTURE_START:
    case ADMIN_CAPTURE_STOP:
    case ADMIN_CAPTURE_STATUS:
        return capture_serve(&server->capture, request);
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
    if (server->rewriting) {
        pthread_join(server->rewriting->thread, NULL);
        admin_request_free(server->rewriting->request);
        rewrite_free(server->rewriting);
    }
    for (struct admin_request *request; (request = line_take(server)) != NULL;)
        admin_request_free(request);
    capture_desk_fini(&server->capture);
    free(server->config_path);
}
