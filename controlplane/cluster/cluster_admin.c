#include "cluster_admin.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cluster_reply.h"

#define ERROR_MAX 400

static void text_reply(struct cluster *c, uint64_t id, const char *text, size_t len)
{
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_REPLY);
    action->reply.id = id;
    action->reply.text = malloc(len);
    CHECK(action->reply.text);
    memcpy(action->reply.text, text, len);
    action->reply.len = len;
}

void cluster_admin_ok(struct cluster *c, const struct cluster_admin *admin)
{
    text_reply(c, admin->id, "+OK\r\n", 5);
}

static size_t error_format(char text[ERROR_MAX], const char *format, va_list args)
{
    char message[ERROR_MAX - 8];
    vsnprintf(message, sizeof(message), format, args);
    for (char *at = message; *at; at++)
        if (*at == '\r' || *at == '\n')
            *at = ' '; /* an argument must not end the reply */
    return (size_t)snprintf(text, ERROR_MAX, "-ERR %s\r\n", message);
}

void cluster_admin_error(struct cluster *c, const struct cluster_admin *admin, const char *format,
                         ...)
{
    char text[ERROR_MAX];
    va_list args;
    va_start(args, format);
    size_t len = error_format(text, format, args);
    va_end(args);
    text_reply(c, admin->id, text, len);
}

void admin_syntax_error(struct cluster *c, const struct cluster_admin *admin)
{
    cluster_admin_error(c, admin, "syntax error");
}

/* ---- replies that wait ---- */

static void pending_add(struct cluster *c, const struct cluster_admin *admin, const char *text)
{
    if (c->pending_count == CLUSTER_PENDING_MAX) {
        cluster_admin_error(c, admin, "too many cluster commands are waiting for the disk");
        return;
    }
    if (c->pending_count == c->pending_size) {
        c->pending_size = c->pending_size ? c->pending_size * 2 : 8;
        c->pending = realloc(c->pending, c->pending_size * sizeof(*c->pending));
        CHECK(c->pending);
    }
    struct cluster_pending *p = &c->pending[c->pending_count++];
    *p = (struct cluster_pending){.id = admin->id, .ticket = cluster_persist_now(c)};
    p->text = strdup(text);
    CHECK(p->text);
    p->len = strlen(text);
}

void cluster_admin_ok_settled(struct cluster *c, const struct cluster_admin *admin)
{
    pending_add(c, admin, "+OK\r\n");
}

void admin_reply_settled(struct cluster *c, const struct cluster_admin *admin, const char *format,
                         ...)
{
    char text[ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pending_add(c, admin, text);
}

void cluster_pending_durable(struct cluster *c, bool ok)
{
    static const char failed[] = "-ERR error saving the cluster node config\r\n";
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->pending_count; i++) {
        struct cluster_pending *p = &c->pending[i];
        bool decided = p->version == 0 && p->ticket <= c->ticket_issued;
        if (decided && !ok) {
            text_reply(c, p->id, failed, sizeof(failed) - 1);
            free(p->text);
            continue;
        }
        /* The view of this step has it, or an earlier one. */
        if (decided)
            p->version = c->view_version + (c->view_want == CLUSTER_WANT_NOW);
        c->pending[kept++] = *p;
    }
    c->pending_count = kept;
}

void cluster_pending_settled(struct cluster *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->pending_count; i++) {
        struct cluster_pending *p = &c->pending[i];
        if (p->version == 0 || p->version > c->view_settled) {
            c->pending[kept++] = *p;
            continue;
        }
        text_reply(c, p->id, p->text, p->len);
        free(p->text);
    }
    c->pending_count = kept;
}

/* ---- what only reads ---- */

static void verbatim(struct cluster *c, const struct cluster_admin *admin,
                     void (*print)(const struct cluster *, struct nodes_text *))
{
    struct cluster_reply r = {.resp3 = admin->resp3};
    struct nodes_text text = {0};
    print(c, &text);
    cluster_reply_verbatim(&r, slice_from(text.data, text.len));
    free(text.data);
    cluster_reply_send(c, admin, &r);
}

static void admin_nodes(struct cluster *c, const struct cluster_admin *admin)
{
    verbatim(c, admin, cluster_print_nodes);
}

static void admin_info(struct cluster *c, const struct cluster_admin *admin)
{
    verbatim(c, admin, cluster_print_info);
}

static void structured(struct cluster *c, const struct cluster_admin *admin,
                       void (*write)(const struct cluster *, struct cluster_reply *))
{
    struct cluster_reply r = {.resp3 = admin->resp3};
    write(c, &r);
    cluster_reply_send(c, admin, &r);
}

static void admin_slots(struct cluster *c, const struct cluster_admin *admin)
{
    structured(c, admin, cluster_reply_slots);
}

static void admin_shards(struct cluster *c, const struct cluster_admin *admin)
{
    structured(c, admin, cluster_reply_shards);
}

static void admin_links(struct cluster *c, const struct cluster_admin *admin)
{
    structured(c, admin, cluster_reply_links);
}

static void myid_write(const struct cluster *c, struct cluster_reply *r)
{
    cluster_reply_word(r, c->self->id);
}

static void admin_myid(struct cluster *c, const struct cluster_admin *admin)
{
    structured(c, admin, myid_write);
}

static void myshardid_write(const struct cluster *c, struct cluster_reply *r)
{
    cluster_reply_word(r, c->self->shard_id);
}

static void admin_myshardid(struct cluster *c, const struct cluster_admin *admin)
{
    structured(c, admin, myshardid_write);
}

struct cluster_node *admin_node(struct cluster *c, const struct cluster_admin *admin, uint32_t arg)
{
    struct slice id = admin->argv[arg];
    struct cluster_node *n = id.len == BUS_NAME_SIZE ? cluster_node_find(c, id.data) : NULL;
    if (!n)
        cluster_admin_error(c, admin, "Unknown node %.*s", (int)(id.len < 128 ? id.len : 128),
                            (const char *)id.data);
    return n;
}

static void replica_line(void *ctx, struct slice text)
{
    cluster_reply_bulk(ctx, text);
}

static void admin_replicas(struct cluster *c, const struct cluster_admin *admin)
{
    const struct cluster_node *n = admin_node(c, admin, 1);
    if (!n)
        return;
    if (!node_is_primary(n)) {
        cluster_admin_error(c, admin, "The specified node is not a master");
        return;
    }
    struct cluster_reply r = {.resp3 = admin->resp3};
    cluster_reply_array(&r, n->replica_count);
    cluster_print_replicas(c, n, replica_line, &r);
    cluster_reply_send(c, admin, &r);
}

static void admin_count_failure_reports(struct cluster *c, const struct cluster_admin *admin)
{
    const struct cluster_node *n = admin_node(c, admin, 1);
    if (!n)
        return;
    struct cluster_reply r = {.resp3 = admin->resp3};
    cluster_reply_integer(&r, cluster_report_count(c, n));
    cluster_reply_send(c, admin, &r);
}

/* ---- the table ---- */

static const struct admin_command {
    const char *name;
    uint32_t argc_min, argc_max; /* with the subcommand */
    cluster_admin_run *run;
} admin_commands[] = {
    {"addslots", 2, UINT32_MAX, admin_addslots},
    {"addslotsrange", 3, UINT32_MAX, admin_addslots},
    {"bumpepoch", 1, 1, admin_bumpepoch},
    {"count-failure-reports", 2, 2, admin_count_failure_reports},
    {"delslots", 2, UINT32_MAX, admin_delslots},
    {"delslotsrange", 3, UINT32_MAX, admin_delslots},
    {"failover", 1, 2, election_admin_failover},
    {"flushslots", 1, 1, admin_flushslots},
    {"forget", 2, 2, admin_forget},
    {"info", 1, 1, admin_info},
    {"links", 1, 1, admin_links},
    {"meet", 3, 4, admin_meet},
    {"myid", 1, 1, admin_myid},
    {"myshardid", 1, 1, admin_myshardid},
    {"nodes", 1, 1, admin_nodes},
    {"replicas", 2, 2, admin_replicas},
    {"replicate", 2, 2, admin_replicate},
    {"reset", 1, 2, admin_reset},
    {"saveconfig", 1, 1, cluster_admin_ok_settled},
    {"set-config-epoch", 2, 2, admin_set_config_epoch},
    {"setslot", 3, 4, admin_setslot},
    {"shards", 1, 1, admin_shards},
    {"slaves", 2, 2, admin_replicas},
    {"slots", 1, 1, admin_slots},
};

void cluster_admin_take(struct cluster *c, const struct cluster_admin *admin)
{
    CHECK(admin->argc > 0);
    for (size_t i = 0; i < count_of(admin_commands); i++) {
        const struct admin_command *command = &admin_commands[i];
        if (!slice_equal_word(admin->argv[0], command->name))
            continue;
        if (admin->argc < command->argc_min || admin->argc > command->argc_max)
            cluster_admin_error(c, admin, "wrong number of arguments for 'cluster|%s' command",
                                command->name);
        else
            command->run(c, admin);
        return;
    }
    struct slice word = admin->argv[0];
    cluster_admin_error(c, admin, "unknown subcommand '%.*s'. Try CLUSTER HELP.",
                        (int)(word.len < 128 ? word.len : 128), (const char *)word.data);
}
