/* COMMAND DOCS, in the shape of Redis 7.0. */
#include "check.h"
#include "command_history.h"
#include "families.h"
#include "introspect.h"

static uint64_t arg_count(const struct command_arg *args)
{
    uint64_t n = 0;
    while (args && args[n].name)
        n++;
    return n;
}

static void reply_pair(struct reply *r, const char *name, const char *value)
{
    reply_bulk_str(r, name);
    reply_bulk_str(r, value);
}

static void reply_arg_flags(struct reply *r, uint8_t flags)
{
    static const char *const names[] = {"optional", "multiple", "multiple_token"};
    uint64_t count = (uint64_t)__builtin_popcount(flags & 7u);
    reply_bulk_str(r, "flags");
    reply_set(r, count);
    for (unsigned i = 0; i < count_of(names); i++) {
        if (flags & (1u << i))
            reply_status(r, names[i]);
    }
}

/* Arguments nest two or three deep, in our own table. */
static void reply_args(struct reply *r, const struct command_arg *args)
{
    uint64_t n = arg_count(args);
    reply_array(r, n);
    for (uint64_t i = 0; i < n; i++) {
        const struct command_arg *a = &args[i];
        reply_map(r, 2u + (a->key_spec != 0) + (a->token != NULL) + (a->since != NULL) +
                         (a->flags != 0) + (a->children != NULL));
        reply_pair(r, "name", a->name);
        reply_pair(r, "type", a->type);
        if (a->key_spec) {
            reply_bulk_str(r, "key_spec_index");
            reply_i64(r, a->key_spec - 1);
        }
        if (a->token)
            reply_pair(r, "token", a->token);
        if (a->since)
            reply_pair(r, "since", a->since);
        if (a->flags)
            reply_arg_flags(r, a->flags);
        if (a->children) {
            reply_bulk_str(r, "arguments");
            reply_args(r, a->children);
        }
    }
}

static void reply_docs(struct reply *r, const struct command *cmd)
{
    uint64_t subs = subcommand_count(cmd);
    struct command_history history = command_history_find(cmd->full_name);
    reply_bulk_str(r, cmd->full_name);
    reply_map(r, 3u + (cmd->complexity != NULL) + command_history_fields(&history) +
                     (cmd->args != NULL) + (subs > 0));
    reply_pair(r, "summary", cmd->summary);
    reply_pair(r, "since", cmd->since);
    reply_pair(r, "group", cmd->group);
    if (cmd->complexity)
        reply_pair(r, "complexity", cmd->complexity);
    command_history_reply(&history, r);
    if (cmd->args) {
        reply_bulk_str(r, "arguments");
        reply_args(r, cmd->args);
    }
    if (subs > 0) {
        reply_bulk_str(r, "subcommands");
        reply_map(r, subs);
        for (uint64_t i = 0; i < subs; i++)
            reply_docs(r, &cmd->subcommands[i]);
    }
}

void cmd_command_docs(struct call *c)
{
    if (c->argc == 2) {
        reply_map(c->reply, command_count());
        for (unsigned i = 0; i < command_count(); i++)
            reply_docs(c->reply, command_at(i));
        return;
    }
    uint64_t known = 0;
    for (uint32_t i = 2; i < c->argc; i++)
        known += command_lookup_full(c->argv[i]) != NULL;
    reply_map(c->reply, known);
    for (uint32_t i = 2; i < c->argc; i++) {
        const struct command *cmd = command_lookup_full(c->argv[i]);
        if (cmd)
            reply_docs(c->reply, cmd);
    }
}
