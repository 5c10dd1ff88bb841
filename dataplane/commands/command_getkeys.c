/* COMMAND GETKEYS and GETKEYSANDFLAGS: what the key specifications find in given words. */
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "introspect.h"

/* The command in argv[2 …] or NULL after an error reply. */
static const struct command *getkeys_command(struct call *c)
{
    const struct command *cmd = command_lookup(c->argv[2]);
    uint32_t argc = c->argc - 2;
    if (cmd && cmd->subcommands && argc > 1)
        cmd = command_sub_lookup(cmd, c->argv[3]);
    if (!cmd) {
        reply_error(c->reply, "ERR Invalid command specified");
        return NULL;
    }
    if (key_spec_count(cmd) == 0) {
        reply_error(c->reply, "ERR The command has no key arguments");
        return NULL;
    }
    bool arity_fits = cmd->arity > 0 ? (uint32_t)cmd->arity == argc : argc >= (uint32_t)-cmd->arity;
    if (arity_fits)
        return cmd;
    reply_error(c->reply, "ERR Invalid number of arguments specified for command");
    return NULL;
}

/* Indexes of keys, relative to argv[2]; *count < 0: an error was replied. */
static uint32_t *getkeys_find(struct call *c, const struct command *cmd, int *count)
{
    uint32_t *at = malloc(c->argc * sizeof(*at));
    CHECK(at);
    *count = command_keys(cmd, c->argv + 2, c->argc - 2, at, c->argc);
    if (*count < 0 || (*count == 0 && !(cmd->flags & CMD_NO_MANDATORY_KEYS))) {
        reply_error(c->reply, "ERR Invalid arguments specified for command");
        *count = -1;
    }
    return at;
}

void cmd_command_getkeys(struct call *c)
{
    int count;
    const struct command *cmd = getkeys_command(c);
    if (!cmd)
        return;
    uint32_t *at = getkeys_find(c, cmd, &count);
    if (count >= 0)
        reply_array(c->reply, (uint64_t)count);
    for (int i = 0; i < count; i++)
        reply_bulk(c->reply, c->argv[2 + at[i]]);
    free(at);
}

/* Whether a spec alone finds the argument at index. */
static bool spec_covers(const struct command *cmd, unsigned spec, const struct call *c,
                        uint32_t index)
{
    struct command one = *cmd;
    memset(one.keys, 0, sizeof(one.keys));
    one.keys[0] = cmd->keys[spec];
    uint32_t *at = malloc(c->argc * sizeof(*at));
    CHECK(at);
    int count = command_keys(&one, c->argv + 2, c->argc - 2, at, c->argc);
    bool found = false;
    for (int i = 0; i < count && !found; i++)
        found = at[i] == index;
    free(at);
    return found;
}

/* SET with GET reads too, without it only overwrites: the one flag that depends on the arguments.
 */
static uint32_t key_flags_of(const struct command *cmd, const struct call *c, uint32_t index)
{
    uint32_t flags = 0;
    for (unsigned i = 0; i < key_spec_count(cmd); i++) {
        if (spec_covers(cmd, i, c, index))
            flags = cmd->keys[i].flags;
    }
    if (!(flags & KEY_VARIABLE) || cmd != command_lookup(slice_str("set")))
        return flags;
    for (uint32_t i = 5; i < c->argc; i++) {
        if (slice_equal_word(c->argv[i], "get"))
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
    }
    return KEY_OW | KEY_UPDATE;
}

void cmd_command_getkeysandflags(struct call *c)
{
    int count;
    const struct command *cmd = getkeys_command(c);
    if (!cmd)
        return;
    uint32_t *at = getkeys_find(c, cmd, &count);
    if (count >= 0)
        reply_array(c->reply, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        reply_array(c->reply, 2);
        reply_bulk(c->reply, c->argv[2 + at[i]]);
        reply_key_flags(c->reply, key_flags_of(cmd, c, at[i]));
    }
    free(at);
}
