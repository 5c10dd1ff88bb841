/* OBJECT: how a value is held. */
#include "families.h"
#include "numbers.h"

#define SHARED_INTEGERS \
    10000 /* Redis shares one object per small number, and says INT_MAX references */

static bool policy_is_lfu(int64_t policy)
{
    return policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
}

static bool policy_is_lru(int64_t policy)
{
    return policy == POLICY_ALLKEYS_LRU || policy == POLICY_VOLATILE_LRU;
}

/* NULL: replied. */
static const struct entry *object_find(struct call *c)
{
    const struct entry *e = ks_get(c->ks, &c->keys[0], KS_READ_NO_TOUCH | KS_READ_NO_STATS);
    if (!e)
        reply_null(c->reply);
    return e;
}

void cmd_object_encoding(struct call *c)
{
    const struct entry *e = object_find(c);
    if (e)
        reply_bulk_str(c->reply, entry_encoding_name(entry_encoding(e)));
}

void cmd_object_refcount(struct call *c)
{
    const struct entry *e = object_find(c);
    if (!e)
        return;
    const struct config *config = c->worker->config;
    bool may_share = config->maxmemory_bytes == 0 || !(policy_is_lru(config->maxmemory_policy) ||
                                                       policy_is_lfu(config->maxmemory_policy));
    int64_t value;
    bool shared = may_share && entry_type(e) == OBJ_STRING && entry_encoding(e) == ENC_INT &&
                  parse_i64(entry_string(e), &value) && value >= 0 && value < SHARED_INTEGERS;
    reply_i64(c->reply, shared ? INT32_MAX : 1);
}

void cmd_object_idletime(struct call *c)
{
    const struct entry *e = object_find(c);
    if (!e)
        return;
    if (policy_is_lfu(c->worker->config->maxmemory_policy)) {
        reply_error(c->reply,
                    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note "
                    "that when switching between policies at runtime LRU and LFU data will take "
                    "some time to adjust.");
        return;
    }
    reply_i64(c->reply, (int64_t)entry_idle_s(e, c->ks->now_ms));
}

void cmd_object_freq(struct call *c)
{
    const struct entry *e = object_find(c);
    if (!e)
        return;
    if (!policy_is_lfu(c->worker->config->maxmemory_policy)) {
        reply_error(c->reply,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                    "Please note that when switching between policies at runtime LRU and LFU data "
                    "will take some time to adjust.");
        return;
    }
    reply_i64(c->reply, entry_frequency(e, c->ks->now_ms));
}

void cmd_object_help(struct call *c)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    How the value of <key> is held in memory.",
        "FREQ <key>",
        "    Access counter of <key>, while an LFU policy is selected.",
        "IDLETIME <key>",
        "    Seconds since <key> was last used, unless an LFU policy is selected.",
        "REFCOUNT <key>",
        "    Number of references to the value of <key>.",
        NULL};
    command_reply_help(c, lines);
}
