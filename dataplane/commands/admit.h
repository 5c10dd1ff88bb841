/* Whether a parsed command may run now, in Redis' order: it exists, its arguments are as many as it
 * takes, the client is authenticated, it is allowed inside MULTI and among subscriptions, memory
 * suffices, no pause holds it back; inside MULTI it is queued. Private to dispatch. */
#pragma once
#include "command.h"

enum admit_result {
    ADMIT_RUN,
    ADMIT_DONE, /* refused or queued (the reply is written), or it is held back (SESSION_PAUSED) */
};

/* Resolves a subcommand: c->command becomes it. */
enum admit_result admit(struct call *c);
