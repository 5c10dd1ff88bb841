#include "command.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "families.h"
#include "name_key.h"

/* The rows: each *.def uses these words (command.h describes them). */
#define COMMAND(...) {__VA_ARGS__},
#define SUB(...) {__VA_ARGS__},
#define SUBCOMMANDS(...) \
    (struct command[])   \
    {                    \
        __VA_ARGS__      \
        {                \
            .name = NULL \
        }                \
    }
/* The type is the first of the rest: a row nests, so no ## may keep its words from expansion. */
#define ARG(name_, ...)                    \
    {                                      \
        .name = name_, .type = __VA_ARGS__ \
    }
#define ARGS(...)                \
    (const struct command_arg[]) \
    {                            \
        __VA_ARGS__,             \
        {                        \
            .name = NULL         \
        }                        \
    }
#define TIPS(...)         \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static struct command commands[] = {
#include "capture.def"
#include "connection.def"
#include "server.def"
#include "dump.def"
#include "migrate.def"
#include "generic.def"
#include "string.def"
#include "hash.def"
#include "list.def"
#include "set.def"
#include "transactions.def"
#include "cluster.def"
#include "pubsub.def"
};

/* Open addressing over names folded to lower case, at most a quarter full: one probe as a rule. */
#define LOOKUP_SIZE 2048
struct lookup_row {
    struct name_key key;
    const struct command *command;
};
static struct lookup_row lookup[LOOKUP_SIZE];
static unsigned command_ids;

_Static_assert(count_of(commands) * 4 <= LOOKUP_SIZE, "the lookup table is sparse");

static void lookup_insert(const struct command *cmd)
{
    struct name_key key;
    CHECK(name_key_of(slice_str(cmd->name), &key));
    unsigned at = name_key_hash(&key) % LOOKUP_SIZE;
    while (lookup[at].command) {
        CHECK(!name_key_equal(&lookup[at].key, &key));
        at = (at + 1) % LOOKUP_SIZE;
    }
    lookup[at] = (struct lookup_row){key, cmd};
}

/* "client|list": a subcommand's name as ACL rules, statistics and errors have it. */
static const char *full_name_of(const char *parent, const char *name)
{
    size_t size = strlen(parent) + strlen(name) + 2;
    char *text = malloc(size);
    CHECK(text);
    size_t at = strlen(parent);
    memcpy(text, parent, at);
    text[at] = '|';
    memcpy(text + at + 1, name, strlen(name) + 1);
    return text;
}

static void command_number(struct command *cmd, const char *parent)
{
    if (!cmd->full_name)
        cmd->full_name = parent ? full_name_of(parent, cmd->name) : cmd->name;
    cmd->id = (uint16_t)command_ids++;
    const struct key_spec *keys = cmd->keys;
    if (keys[0].begin > 0 && !keys[0].keyword && !keys[0].keynum_step && keys[0].last == 0 &&
        keys[1].begin == 0 && !(keys[0].flags & KEY_NOT_KEY) && abs(cmd->arity) > keys[0].begin)
        cmd->flags |= CMD_ONE_KEY;
    /* Arrays of subcommands stand in this file's own writable memory, see SUBCOMMANDS. */
    for (struct command *sub = (struct command *)(uintptr_t)cmd->subcommands; sub && sub->name;
         sub++)
        command_number(sub, cmd->name);
}

void commands_init(void)
{
    memset(lookup, 0, sizeof(lookup));
    command_ids = 0;
    for (unsigned i = 0; i < count_of(commands); i++) {
        command_number(&commands[i], NULL);
        lookup_insert(&commands[i]);
    }
}

unsigned command_count(void)
{
    return count_of(commands);
}

unsigned command_id_count(void)
{
    return command_ids;
}

const struct command *command_at(unsigned index)
{
    CHECK(index < count_of(commands));
    return &commands[index];
}

const struct command *command_lookup(struct slice name)
{
    struct name_key key;
    if (!name_key_of(name, &key))
        return NULL;
    for (unsigned at = name_key_hash(&key) % LOOKUP_SIZE; lookup[at].command;
         at = (at + 1) % LOOKUP_SIZE) {
        if (name_key_equal(&lookup[at].key, &key))
            return lookup[at].command;
    }
    return NULL;
}

const struct command *command_sub_lookup(const struct command *parent, struct slice name)
{
    for (const struct command *sub = parent->subcommands; sub && sub->name; sub++) {
        if (slice_equal_word(name, sub->name))
            return sub;
    }
    return NULL;
}
