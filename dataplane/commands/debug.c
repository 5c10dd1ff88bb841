/* DEBUG: for tests only, and refused unless enable-debug-command allows it. What may take long runs
 * as a job. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "admin_ask.h"
#include "aggregate.h"
#include "check.h"
#include "claim.h"
#include "digest.h"
#include "families.h"
#include "job.h"
#include "log.h"
#include "numbers.h"
#include "string_value.h"

enum { DEBUG_NO, DEBUG_YES, DEBUG_LOCAL }; /* words of enable-debug-command */

static bool debug_allowed(const struct call *c)
{
    int mode = c->worker->config->enable_debug_command;
    /* Only the unix socket is local: the node's own address never loops back. */
    return mode == DEBUG_YES || (mode == DEBUG_LOCAL && (c->session->flags & SESSION_UNIX));
}

/* ---- SLEEP ---- */

static bool sleep_step(struct job *j)
{
    reply_ok(j->reply);
    return true;
}

static void plain_free(struct job *j)
{
    free(j);
}

static void debug_sleep(struct call *c)
{
    double seconds;
    if (!parse_double(c->argv[2], &seconds) || isnan(seconds) || seconds < 0)
        seconds = 0; /* as Redis, which takes what strtod() makes of it */
    struct job *j = calloc(1, sizeof(*j));
    CHECK(j);
    j->step = sleep_step;
    j->free = plain_free;
    double wait_us = seconds * 1e6;
    if (wait_us > 0)
        j->due_us = c->worker->now_us + (wait_us < 1e15 ? (uint64_t)wait_us : (uint64_t)1e15);
    job_start(c, j);
}

/* ---- OBJECT ---- */

static void debug_object(struct call *c)
{
    struct key key = key_of(c->argv[2]);
    if (!call_lock_read(c, &key))
        return;
    const struct entry *e = ks_find(c->ks, &key, KS_READ_NO_TOUCH | KS_READ_NO_STATS);
    if (!e) {
        reply_error(c->reply, REPLY_NO_KEY);
    } else {
        char text[256];
        bool string = entry_type(e) == OBJ_STRING;
        size_t bytes = string ? entry_string_len(e) + 1 : ks_mem_usage(c->ks, e, 5);
        uint64_t idle_s = entry_idle_s(e, c->ks->now_ms);
        snprintf(text, sizeof(text),
                 "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%llu "
                 "lru_seconds_idle:%llu",
                 (const void *)e, entry_encoding_name(entry_encoding(e)), bytes,
                 (unsigned long long)(((uint64_t)c->ks->now_ms / 1000 - idle_s) & 0xffffff),
                 (unsigned long long)idle_s);
        reply_status(c->reply, text);
    }
    ks_unlock(c->ks, key.slot);
}

/* ---- POPULATE ---- */

struct populate_job {
    struct job job;
    uint64_t next, count;
    size_t value_size; /* 0: just "value:N" */
    uint8_t *value;
    char *name; /* prefix, ':' and room for the number */
    size_t prefix_len;
};

#define POPULATE_KEYS_PER_STEP 64
#define POPULATE_TEXT_MAX 32

static void populate_free(struct job *j)
{
    struct populate_job *p = container_from(j, struct populate_job, job);
    free(p->value);
    free(p->name);
    free(p);
}

enum populate_result { POPULATE_DONE, POPULATE_CLAIMED /* try again later */, POPULATE_NO_MEMORY };

static enum populate_result populate_one(struct populate_job *p, uint64_t number)
{
    struct ks *ks = p->job.ks;
    char text[POPULATE_TEXT_MAX];
    size_t name_len = p->prefix_len + format_u64(p->name + p->prefix_len, number);
    struct key key = key_of(slice_from(p->name, name_len));
    memcpy(text, "value:", 6);
    size_t len = 6 + format_u64(text + 6, number);
    struct slice value = slice_from(text, len);
    if (p->value_size > 0) {
        memset(p->value, 0, p->value_size < POPULATE_TEXT_MAX ? p->value_size : POPULATE_TEXT_MAX);
        memcpy(p->value, text, len < p->value_size ? len : p->value_size);
        value = slice_from(p->value, p->value_size);
    }
    struct entry *e = ks_entry_string(ks, &key, value, EXPIRY_NONE);
    if (!e)
        return POPULATE_NO_MEMORY;
    bool may = !ks_lock(ks, key.slot) || ks_claim_allows(ks, &key, true);
    bool missing = may && !ks_find(ks, &key, KS_READ_NO_TOUCH | KS_READ_NO_STATS);
    if (missing)
        ks_put(ks, &key, e);
    ks_unlock(ks, key.slot);
    if (!missing)
        ks_entry_discard(ks, e);
    return may ? POPULATE_DONE : POPULATE_CLAIMED;
}

static bool populate_step(struct job *j)
{
    struct populate_job *p = container_from(j, struct populate_job, job);
    for (int i = 0; i < POPULATE_KEYS_PER_STEP && p->next < p->count; i++) {
        enum populate_result result = populate_one(p, p->next);
        if (result == POPULATE_CLAIMED)
            return false;
        if (result == POPULATE_NO_MEMORY) {
            reply_error(j->reply, REPLY_OOM);
            return true;
        }
        p->next++;
    }
    if (p->next < p->count)
        return false;
    reply_ok(j->reply);
    return true;
}

static bool populate_number(struct call *c, uint32_t arg, uint64_t max, uint64_t *out)
{
    int64_t value;
    if (parse_i64(c->argv[arg], &value) && value >= 0 && (uint64_t)value <= max) {
        *out = (uint64_t)value;
        return true;
    }
    reply_error(c->reply, "ERR value is out of range, must be positive");
    return false;
}

static void debug_populate(struct call *c)
{
    uint64_t count, size = 0;
    struct slice prefix = c->argc > 3 ? c->argv[3] : slice_str("key");
    if (!populate_number(c, 2, INT64_MAX, &count) ||
        (c->argc > 4 && !populate_number(c, 4, c->worker->config->proto_max_bulk_len, &size)))
        return;
    struct populate_job *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->count = count;
    p->value_size = size;
    p->value = calloc(1, size + 1);
    p->name = malloc(prefix.len + 1 + NUMBER_TEXT_SIZE);
    p->job.step = populate_step;
    p->job.free = populate_free;
    if (!p->value || !p->name) {
        populate_free(&p->job);
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    if (prefix.len > 0)
        memcpy(p->name, prefix.data, prefix.len);
    p->name[prefix.len] = ':';
    p->prefix_len = prefix.len + 1;
    job_start(c, &p->job);
}

/* ---- DIGEST ---- */

/* Nothing changes while it runs, under a claim of the whole keyspace, so that it is of one instant.
 */
#define DIGEST_ENTRY_COST 16 /* three hashes, in elements (work.h) */

struct digest_scan {
    struct call *call;
    struct digester *digester;
    struct digest all;
};

/* Others run in between: no index changes under the claim. */
static void digest_entry(void *arg, const struct entry *e)
{
    struct digest_scan *d = arg;
    struct pace pace = call_pacer(d->call);
    digest_dataset_add(d->digester, &d->all, e, &pace);
    call_pace(d->call, DIGEST_ENTRY_COST);
}

static void debug_digest(struct call *c)
{
    if (!c->paced) {
        c->verdict = CALL_WHOLE;
        return;
    }
    struct digest_scan d = {.call = c, .digester = digester_new()};
    if (!d.digester) {
        reply_error(c->reply, "ERR there is no SHA-1 on this machine");
        return;
    }
    char text[DIGEST_TEXT_SIZE];
    if (ks_count(c->ks->shared) > 0)
        d.all = digest_dataset_begin(d.digester, 0);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (ks_slot_count(c->ks->shared, (uint16_t)slot) > 0)
            ks_scan_slot(c->ks, (uint16_t)slot, 0, UINT32_MAX, digest_entry, &d);
        call_pace(c, slot % 8 == 0);
    }
    digester_free(d.digester);
    digest_text(&d.all, text);
    reply_status(c->reply, text);
}

static void debug_digest_value(struct call *c)
{
    if (!c->paced) {
        c->verdict = CALL_WHOLE;
        return;
    }
    struct pace pace = call_pacer(c);
    struct digester *digester = digester_new();
    if (!digester) {
        reply_error(c->reply, "ERR there is no SHA-1 on this machine");
        return;
    }
    reply_array(c->reply, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        char text[DIGEST_TEXT_SIZE];
        struct digest digest = {{0}};
        struct key key = key_of(c->argv[i]);
        const struct entry *e = ks_find(c->ks, &key, KS_READ_NO_TOUCH | KS_READ_NO_STATS);
        if (e)
            digest = digest_value(digester, e, &pace);
        digest_text(&digest, text);
        reply_status(c->reply, text);
        call_pace(c, DIGEST_ENTRY_COST);
    }
    digester_free(digester);
}

/* ---- the rest ---- */

static void debug_set_active_expire(struct call *c)
{
    int64_t on = 0;
    parse_i64(c->argv[2], &on);
    atomic_store_explicit(&c->worker->node->active_expire_off, on == 0, memory_order_relaxed);
    reply_ok(c->reply);
}

static void debug_log(struct call *c)
{
    log_warning("DEBUG LOG: %s", LOG_BYTES(c->argv[2]));
    reply_ok(c->reply);
}

static void debug_error(struct call *c)
{
    int shown = c->argv[2].len > 512 ? 512 : (int)c->argv[2].len;
    reply_errorf(c->reply, "%.*s", shown, (const char *)c->argv[2].data);
}

/* The control thread connects through the NIC: what a later bus link does. */
static void debug_peer(struct call *c)
{
    admin_ask(c, ADMIN_PEER_PING, c->argv + 2, 2);
}

static void debug_help(struct call *c)
{
    static const char *const lines[] = {
        "DIGEST",
        "    A digest of all keys and values, the same on nodes that hold the same.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Digests of the values of keys.",
        "ERROR <string>",
        "    Reply the given error.",
        "LOG <message>",
        "    Write <message> into the log.",
        "OBJECT <key>",
        "    How <key> is held in memory.",
        "PEER <address> <port>",
        "    Connect to another node, send PING, and tell how long its answer took.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Make keys <prefix>:0 ... (default: key) with values of <size> bytes, where they do "
        "not",
        "    exist yet.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Whether keys that nobody looks at are deleted when their time has come.",
        "SLEEP <seconds>",
        "    Reply after that time; other clients are served meanwhile.",
        NULL};
    command_reply_help(c, lines);
}

static const struct {
    const char *name;
    void (*run)(struct call *c);
    uint32_t argc_min, argc_max;
} debug_commands[] = {
    {"help", debug_help, 2, 2},
    {"sleep", debug_sleep, 3, 3},
    {"object", debug_object, 3, 4},
    {"populate", debug_populate, 3, 5},
    {"digest", debug_digest, 2, 2},
    {"digest-value", debug_digest_value, 2, UINT32_MAX},
    {"set-active-expire", debug_set_active_expire, 3, 3},
    {"log", debug_log, 3, 3},
    {"error", debug_error, 3, 3},
    {"peer", debug_peer, 4, 4},
};

void cmd_debug(struct call *c)
{
    if (!debug_allowed(c)) {
        reply_error(c->reply,
                    "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
                    "\"local\", you can run it from a local connection, otherwise you need to set "
                    "this option in the configuration file, and then restart the server.");
        return;
    }
    for (unsigned i = 0; i < count_of(debug_commands); i++) {
        if (slice_equal_word(c->argv[1], debug_commands[i].name) &&
            c->argc >= debug_commands[i].argc_min && c->argc <= debug_commands[i].argc_max) {
            debug_commands[i].run(c);
            return;
        }
    }
    int shown = c->argv[1].len > 128 ? 128 : (int)c->argv[1].len;
    reply_errorf(c->reply,
                 "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                 shown, (const char *)c->argv[1].data);
}
