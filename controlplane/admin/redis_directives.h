/* Directives of Redis 7.0 that this node does not have: what an existing redis.conf may say of them
 * (redis_directives.def). Pure; any thread. A directive that the node gets becomes a row of
 * common/options.def and loses its row there. */
#pragma once
#include "config.h"
#include "slice.h"

enum redis_directive {
    REDIS_DIRECTIVE_NOT,      /* no directive of Redis, or one that the node has */
    REDIS_DIRECTIVE_ACCEPTED, /* it says nothing that would be untrue of this node */
    REDIS_DIRECTIVE_REFUSED,  /* somebody relies on what it says */
};

/* name and words: one line of the file. text gets a sentence when the directive is accepted
 * ("accepted, without effect: dbfilename: there are no snapshots yet") or refused. */
enum redis_directive redis_directive_judge(struct slice name, const struct slice *words,
                                           int word_count, char text[CONFIG_ERROR_SIZE]);
/* Its words are passwords, or hold them: never shown. */
bool redis_directive_is_secret(struct slice name);
