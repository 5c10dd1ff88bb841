/* COMMAND: what the table says of itself. COMMAND DOCS stands in command_docs.c, GETKEYS in
 * command_getkeys.c. */
#include "introspect.h"
#include <limits.h>
#include "check.h"
#include "families.h"
#include "numbers.h"

struct flag_name {
    uint32_t flag;
    const char *name;
};

/* In the order in which Redis prints them. */
static const struct flag_name command_flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_ASKING, "asking"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLE_KEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {0, NULL},
};

static const struct flag_name acl_names[] = {
    {ACL_KEYSPACE, "@keyspace"},
    {ACL_READ, "@read"},
    {ACL_WRITE, "@write"},
    {ACL_SET, "@set"},
    {ACL_SORTEDSET, "@sortedset"},
    {ACL_LIST, "@list"},
    {ACL_HASH, "@hash"},
    {ACL_STRING, "@string"},
    {ACL_BITMAP, "@bitmap"},
    {ACL_HYPERLOGLOG, "@hyperloglog"},
    {ACL_GEO, "@geo"},
    {ACL_STREAM, "@stream"},
    {ACL_PUBSUB, "@pubsub"},
    {ACL_ADMIN, "@admin"},
    {ACL_FAST, "@fast"},
    {ACL_SLOW, "@slow"},
    {ACL_BLOCKING, "@blocking"},
    {ACL_DANGEROUS, "@dangerous"},
    {ACL_CONNECTION, "@connection"},
    {ACL_TRANSACTION, "@transaction"},
    {ACL_SCRIPTING, "@scripting"},
    {0, NULL},
};

static const struct flag_name key_flag_names[] = {
    {KEY_RO, "RO"},
    {KEY_RW, "RW"},
    {KEY_OW, "OW"},
    {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},
    {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},
    {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"},
    {KEY_INCOMPLETE, "incomplete"},
    {KEY_VARIABLE, "variable_flags"},
    {0, NULL},
};

static void reply_flags(struct reply *r, const struct flag_name *names, uint32_t flags)
{
    uint64_t count = 0;
    for (const struct flag_name *n = names; n->name; n++)
        count += (flags & n->flag) != 0;
    reply_set(r, count);
    for (const struct flag_name *n = names; n->name; n++) {
        if (flags & n->flag)
            reply_status(r, n->name);
    }
}

void reply_key_flags(struct reply *r, uint32_t flags)
{
    reply_flags(r, key_flag_names, flags);
}

/* ---- key specifications ---- */

unsigned key_spec_count(const struct command *cmd)
{
    unsigned n = 0;
    while (n < KEY_SPECS_MAX && cmd->keys[n].begin != 0)
        n++;
    return n;
}

static int spec_step(const struct key_spec *spec)
{
    return spec->step ? spec->step : 1;
}

/* The first, last and step of Redis before 7: of the specs that are plain ranges, as long as they
 * follow each other without a gap. */
static void legacy_range(const struct command *cmd, int *first, int *last, int *step)
{
    int first_found = INT_MAX, last_found = 0, previous_last = 0;
    *first = *last = *step = 0;
    for (unsigned i = 0; i < key_spec_count(cmd); i++) {
        const struct key_spec *spec = &cmd->keys[i];
        if (spec->keyword || spec->keynum_step > 0)
            continue;
        if (spec_step(spec) > 1 && previous_last != 0)
            return;
        if (previous_last != 0 && previous_last != spec->begin - 1)
            return;
        if (spec->begin < first_found)
            first_found = spec->begin;
        int end = spec->last >= 0 ? spec->begin + spec->last : INT_MAX + spec->last;
        if (end > last_found)
            last_found = end;
        previous_last = end;
        *step = spec_step(spec);
    }
    if (first_found == INT_MAX)
        return;
    *first = first_found;
    *last = last_found > INT_MAX / 2 ? last_found - INT_MAX : last_found;
}

static void reply_begin_search(struct reply *r, const struct key_spec *spec)
{
    reply_map(r, 2);
    reply_bulk_str(r, "type");
    reply_bulk_str(r, spec->keyword ? "keyword" : "index");
    reply_bulk_str(r, "spec");
    if (spec->keyword) {
        reply_map(r, 2);
        reply_bulk_str(r, "keyword");
        reply_bulk_str(r, spec->keyword);
        reply_bulk_str(r, "startfrom");
    } else {
        reply_map(r, 1);
        reply_bulk_str(r, "index");
    }
    reply_i64(r, spec->begin);
}

static void reply_find_keys(struct reply *r, const struct key_spec *spec)
{
    bool by_count = spec->keynum_step > 0;
    reply_map(r, 2);
    reply_bulk_str(r, "type");
    reply_bulk_str(r, by_count ? "keynum" : "range");
    reply_bulk_str(r, "spec");
    reply_map(r, 3);
    reply_bulk_str(r, by_count ? "keynumidx" : "lastkey");
    reply_i64(r, by_count ? spec->keynum_index : spec->last);
    reply_bulk_str(r, by_count ? "firstkey" : "keystep");
    reply_i64(r, by_count ? spec->keynum_first : spec_step(spec));
    reply_bulk_str(r, by_count ? "keystep" : "limit");
    reply_i64(r, by_count ? spec->keynum_step : spec->limit);
}

static void reply_key_specs(struct reply *r, const struct command *cmd)
{
    unsigned n = key_spec_count(cmd);
    reply_set(r, n);
    for (unsigned i = 0; i < n; i++) {
        const struct key_spec *spec = &cmd->keys[i];
        reply_map(r, spec->notes ? 4 : 3);
        if (spec->notes) {
            reply_bulk_str(r, "notes");
            reply_bulk_str(r, spec->notes);
        }
        reply_bulk_str(r, "flags");
        reply_key_flags(r, spec->flags);
        reply_bulk_str(r, "begin_search");
        reply_begin_search(r, spec);
        reply_bulk_str(r, "find_keys");
        reply_find_keys(r, spec);
    }
}

/* ---- COMMAND, COMMAND INFO ---- */

static uint64_t tip_count(const struct command *cmd)
{
    uint64_t n = 0;
    while (cmd->tips && cmd->tips[n])
        n++;
    return n;
}

uint64_t subcommand_count(const struct command *cmd)
{
    uint64_t n = 0;
    while (cmd->subcommands && cmd->subcommands[n].name)
        n++;
    return n;
}

const struct command *command_walk_next(struct command_walk *walk)
{
    if (walk->index == command_count())
        return NULL;
    const struct command *parent = command_at(walk->index);
    const struct command *cmd = walk->sub ? &parent->subcommands[walk->sub - 1] : parent;
    if (walk->sub++ == subcommand_count(parent)) {
        walk->sub = 0;
        walk->index++;
    }
    return cmd;
}

static void reply_command_alone(struct reply *r, const struct command *cmd)
{
    int first, last, step;
    legacy_range(cmd, &first, &last, &step);
    reply_array(r, 10);
    reply_bulk_str(r, cmd->full_name);
    reply_i64(r, cmd->arity);
    reply_flags(r, command_flag_names, cmd->flags);
    reply_i64(r, first);
    reply_i64(r, last);
    reply_i64(r, step);
    reply_flags(r, acl_names, cmd->acl);
    reply_set(r, tip_count(cmd));
    for (uint64_t i = 0; i < tip_count(cmd); i++)
        reply_bulk_str(r, cmd->tips[i]);
    reply_key_specs(r, cmd);
}

/* Redis replies an empty list of subcommands as a set, and others as an array. */
static void reply_command(struct reply *r, const struct command *cmd)
{
    reply_command_alone(r, cmd);
    uint64_t subs = subcommand_count(cmd);
    if (subs == 0) {
        reply_set(r, 0);
        return;
    }
    reply_array(r, subs);
    for (uint64_t i = 0; i < subs; i++) {
        reply_command_alone(r, &cmd->subcommands[i]);
        reply_set(r, 0);
    }
}

static void reply_all_commands(struct call *c)
{
    reply_array(c->reply, command_count());
    for (unsigned i = 0; i < command_count(); i++)
        reply_command(c->reply, command_at(i));
}

void cmd_command(struct call *c)
{
    reply_all_commands(c);
}

void cmd_command_count(struct call *c)
{
    reply_i64(c->reply, command_count());
}

const struct command *command_lookup_full(struct slice name)
{
    const uint8_t *bar = name.len ? memchr(name.data, '|', name.len) : NULL;
    if (!bar)
        return command_lookup(name);
    size_t len = (size_t)(bar - name.data);
    const struct command *parent = command_lookup(slice_from(name.data, len));
    return parent ? command_sub_lookup(parent, slice_from(bar + 1, name.len - len - 1)) : NULL;
}

void cmd_command_info(struct call *c)
{
    if (c->argc == 2) {
        reply_all_commands(c);
        return;
    }
    reply_array(c->reply, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        const struct command *cmd = command_lookup_full(c->argv[i]);
        if (cmd)
            reply_command(c->reply, cmd);
        else
            reply_null(c->reply);
    }
}

/* ---- COMMAND LIST ---- */

struct list_filter {
    enum { LIST_ALL, LIST_PATTERN, LIST_CATEGORY, LIST_NONE } kind;
    struct slice pattern;
    uint32_t category;
};

static bool list_wanted(const struct list_filter *f, const struct command *cmd)
{
    switch (f->kind) {
    case LIST_ALL:
        return true;
    case LIST_PATTERN:
        return glob_match(f->pattern, slice_str(cmd->full_name), true);
    case LIST_CATEGORY:
        return (cmd->acl & f->category) != 0;
    case LIST_NONE:
        return false;
    }
    return false;
}

static uint64_t list_walk(const struct list_filter *f, struct reply *r)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        for (uint64_t at = 0; at <= subcommand_count(cmd); at++) {
            const struct command *one = at == 0 ? cmd : &cmd->subcommands[at - 1];
            if (at > 0 && f->kind == LIST_ALL)
                break;
            if (!list_wanted(f, one))
                continue;
            count++;
            if (r)
                reply_bulk_str(r, one->full_name);
        }
    }
    return count;
}

/* False: syntax error. */
static bool list_parse(const struct call *c, struct list_filter *f)
{
    f->kind = LIST_ALL;
    if (c->argc == 2)
        return true;
    if (c->argc != 5 || !slice_equal_word(c->argv[2], "filterby"))
        return false;
    if (slice_equal_word(c->argv[3], "pattern")) {
        f->kind = LIST_PATTERN;
        f->pattern = c->argv[4];
        return true;
    }
    if (slice_equal_word(c->argv[3], "aclcat")) {
        f->kind = LIST_NONE;
        for (const struct flag_name *n = acl_names; n->name; n++) {
            if (slice_equal_word(c->argv[4], n->name + 1)) {
                f->kind = LIST_CATEGORY;
                f->category = n->flag;
            }
        }
        return true;
    }
    f->kind = LIST_NONE; /* there are no modules */
    return slice_equal_word(c->argv[3], "module");
}

void cmd_command_list(struct call *c)
{
    struct list_filter f = {.kind = LIST_ALL};
    if (!list_parse(c, &f)) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    uint64_t count = list_walk(&f, NULL);
    if (f.kind == LIST_ALL)
        reply_set(c->reply, count);
    else
        reply_array(c->reply, count);
    list_walk(&f, c->reply);
}

void cmd_command_help(struct call *c)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Describe all commands.",
        "COUNT",
        "    Number of commands.",
        "DOCS [<command-name> ...]",
        "    Documentation of the given commands, or of all.",
        "GETKEYS <full-command>",
        "    The keys of a command with its arguments.",
        "GETKEYSANDFLAGS <full-command>",
        "    The same, with what the command does to each key.",
        "INFO [<command-name> ...]",
        "    Describe the given commands, or all.",
        "LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <pattern>)]",
        "    Names of commands.",
        NULL};
    command_reply_help(c, lines);
}
