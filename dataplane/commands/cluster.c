/* CLUSTER, ASKING, READONLY, READWRITE. What concerns the keys of a slot is answered here, the rest
 * by the control thread. */
#include <stdlib.h>
#include <string.h>
#include "admin_ask.h"
#include "check.h"
#include "families.h"
#include "keyhash.h"
#include "numbers.h"
#include "session.h"
#include "string_value.h"

/* False: the node has no cluster; that was replied. */
static bool cluster_enabled(struct call *c)
{
    if (c->worker->node->cluster != NULL)
        return true;
    reply_error(c->reply, "ERR This instance has cluster support disabled");
    return false;
}

/* Subcommands whose last argument may be left out, and what Redis says to one argument too many. */
static bool arguments_fit(struct call *c)
{
    static const struct {
        const char *name;
        uint32_t argc_max;
    } subs[] = {{"meet", 5}, {"failover", 3}, {"reset", 3}};
    for (size_t i = 0; i < count_of(subs); i++) {
        if (c->argc <= subs[i].argc_max || strcmp(c->command->name, subs[i].name) != 0)
            continue;
        reply_errorf(c->reply,
                     "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLUSTER "
                     "HELP.",
                     (int)(c->argv[1].len < 128 ? c->argv[1].len : 128),
                     (const char *)c->argv[1].data);
        return false;
    }
    return true;
}

void cmd_cluster_ask(struct call *c)
{
    if (cluster_enabled(c) && arguments_fit(c))
        admin_ask(c, ADMIN_CLUSTER, c->argv + 1, c->argc - 1);
}

void cmd_cluster_keyslot(struct call *c)
{
    if (cluster_enabled(c))
        reply_i64(c->reply, key_slot(c->argv[2]));
}

void cmd_cluster_countkeysinslot(struct call *c)
{
    int64_t slot;
    if (!cluster_enabled(c) || !string_parse_i64(c, c->argv[2], &slot))
        return;
    if (slot < 0 || slot >= SLOTS)
        reply_error(c->reply, "ERR Invalid slot");
    else
        reply_i64(c->reply, ks_slot_count(c->ks->shared, (uint16_t)slot));
}

/* Names of keys, replied as they are found: their entries live until the lcore is quiescent. */
struct slot_keys {
    struct reply *reply;
    uint64_t left, count;
};

static void slot_key_reply(void *arg, const struct entry *e)
{
    struct slot_keys *keys = arg;
    if (keys->left == 0)
        return;
    keys->left--;
    keys->count++;
    reply_bulk(keys->reply, entry_key(e));
}

void cmd_cluster_getkeysinslot(struct call *c)
{
    int64_t slot, max;
    if (!cluster_enabled(c) || !string_parse_i64(c, c->argv[2], &slot) ||
        !string_parse_i64(c, c->argv[3], &max))
        return;
    if (slot < 0 || slot >= SLOTS || max < 0) {
        reply_error(c->reply, "ERR Invalid slot or number of keys");
        return;
    }
    struct slot_keys keys = {.reply = c->reply, .left = (uint64_t)max};
    struct reply_deferred deferred;
    uint64_t cursor = 0;
    reply_defer_begin(c->reply, &deferred);
    do {
        cursor = ks_scan_slot(c->ks, (uint16_t)slot, cursor, 1, slot_key_reply, &keys);
    } while (cursor != 0 && keys.left > 0);
    reply_defer_end(c->reply, &deferred, '*', keys.count);
}

void cmd_cluster_help(struct call *c)
{
    static const char *const lines[] = {
        "COUNTKEYSINSLOT <slot>",
        "    Return the number of keys in <slot>.",
        "GETKEYSINSLOT <slot> <count>",
        "    Return key names stored by current node in a slot.",
        "KEYSLOT <key>",
        "    Return the hash slot for <key>.",
        "ADDSLOTS, ADDSLOTSRANGE, BUMPEPOCH, COUNT-FAILURE-REPORTS, DELSLOTS, DELSLOTSRANGE,",
        "FAILOVER, FLUSHSLOTS, FORGET, INFO, LINKS, MEET, MYID, MYSHARDID, NODES, REPLICAS,",
        "REPLICATE, RESET, SAVECONFIG, SET-CONFIG-EPOCH, SETSLOT, SHARDS, SLAVES, SLOTS",
        "    As in Redis 7.0: COMMAND DOCS CLUSTER shows their arguments.",
        NULL,
    };
    if (cluster_enabled(c))
        command_reply_help(c, lines);
}

void cmd_asking(struct call *c)
{
    if (!cluster_enabled(c))
        return;
    c->session->flags |= SESSION_ASKING;
    reply_ok(c->reply);
}

void cmd_readonly(struct call *c)
{
    if (!cluster_enabled(c))
        return;
    c->session->flags |= SESSION_READONLY;
    reply_ok(c->reply);
}

void cmd_readwrite(struct call *c)
{
    if (!cluster_enabled(c))
        return;
    c->session->flags &= ~(uint32_t)SESSION_READONLY;
    reply_ok(c->reply);
}
