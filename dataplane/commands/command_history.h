/* The past of commands for COMMAND DOCS: a sorted table (command_history.def). Pure. */
#pragma once
#include "reply.h"

struct history_row;

/* The rows of one command. */
struct command_history {
    const struct history_row *rows;
    unsigned count;
};
struct command_history command_history_find(const char *full_name);
/* How many fields it adds to the command's map, and those fields: doc_flags, deprecated_since,
 * replaced_by, history. */
unsigned command_history_fields(const struct command_history *h);
void command_history_reply(const struct command_history *h, struct reply *r);
/* The first row that is not in its place, NULL: all are. For tests. */
const char *command_history_fault(void);
