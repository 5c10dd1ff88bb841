/* What COMMAND INFO and COMMAND DOCS share. Any lcore: the table never changes after the start. */
#pragma once
#include "command.h"

unsigned key_spec_count(const struct command *cmd);
/* The flags of a key specification, as a set of words. */
void reply_key_flags(struct reply *r, uint32_t flags);
uint64_t subcommand_count(const struct command *cmd);
/* The table's commands, each followed by its subcommands; begins all zero. NULL: that was all. */
struct command_walk {
    unsigned index;
    uint64_t sub;
};
const struct command *command_walk_next(struct command_walk *walk);
/* "get", or "config|set"; NULL: unknown. */
const struct command *command_lookup_full(struct slice name);
