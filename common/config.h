/* The configuration: an immutable snapshot, published by RCU. The control thread is the only
 * writer; any registered reader calls config_get() and may use it until its next quiescent state.
 * The table of directives is options.def. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "slice.h"

enum option_flags {
    LIVE = 1 << 0,       /* CONFIG SET takes effect at once */
    FIXED = 1 << 1,      /* only in the file or on the command line */
    SECRET = 1 << 2,     /* never logged */
    ACCEPTED = 1 << 3,   /* a directive of Redis that has no effect here; the help says why */
    ALIAS = 1 << 4,      /* another name: help is the name of the directive it stands for */
    WORDS = 1 << 5,      /* a string of several words, joined by one blank */
    EMPTY_ONLY = 1 << 6, /* a string of which only "" is accepted; the help says why */
    OCTAL = 1 << 7,      /* an integer read and printed in base 8 */
    PROTECTED = 1 << 8,  /* CONFIG SET only as enable-protected-configs says */
};

enum client_class { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_CLASSES };

struct output_limit {
    uint64_t hard_bytes;
    uint64_t soft_bytes;
    int64_t soft_s;
};

struct config {
#define OPT_INT(name, field, def, min, max, flags, help) int64_t field;
#define OPT_MEM(name, field, def, min, max, flags, help) uint64_t field;
#define OPT_BOOL(name, field, def, flags, help) bool field;
#define OPT_ENUM(name, field, def, words, flags, help) int field;
#define OPT_STR(name, field, def, flags, help) char *field;
#define OPT_SPECIAL(name, field, flags, help)
#include "options.def"
#undef OPT_INT
#undef OPT_MEM
#undef OPT_BOOL
#undef OPT_ENUM
#undef OPT_STR
#undef OPT_SPECIAL
    struct output_limit client_output_limit[CLIENT_CLASSES];
};

/* A string longer than this is refused. */
#define CONFIG_STRING_MAX 65536

enum { IDLE_BUSY, IDLE_ADAPTIVE };
enum { HUGEPAGES_AUTO, HUGEPAGES_YES, HUGEPAGES_NO };
enum {
    POLICY_VOLATILE_LRU,
    POLICY_VOLATILE_LFU,
    POLICY_VOLATILE_RANDOM,
    POLICY_VOLATILE_TTL,
    POLICY_ALLKEYS_LRU,
    POLICY_ALLKEYS_LFU,
    POLICY_ALLKEYS_RANDOM,
    POLICY_NOEVICTION
};

/* A copy to change, free or publish; new = the defaults. */
struct config *config_new(void);
struct config *config_copy(const struct config *from);
void config_free(struct config *config);

/* Sets one directive from its words. booting: FIXED ones may be set too. On failure false, config
 * is as it was, and err holds a sentence (Redis' wording where it has one: "argument must be
 * between 1 and 500 inclusive"). CONFIG SET passes its value as one word; directives of several
 * words split it at blanks. */
#define CONFIG_ERROR_SIZE 256
bool config_set(struct config *config, struct slice name, const struct slice *words, int word_count,
                bool booting, char err[CONFIG_ERROR_SIZE]);
/* Relations between directives that no single one can check. */
bool config_validate(const struct config *config, char err[CONFIG_ERROR_SIZE]);

/* The table, for CONFIG GET and REWRITE: index in [0, config_option_count()). */
int config_option_count(void);
const char *config_option_name(int index);
int config_option_flags(int index);
const char *config_option_help(int index);
/* The value as CONFIG GET prints it, NUL-terminated, allocated: the caller frees it. */
char *config_option_print(const struct config *config, int index);
/* As it stands in a file after the name: quoted where needed. The caller frees it. */
char *config_option_print_file(const struct config *config, int index);
bool config_option_is_default(const struct config *config, int index);
int config_option_find(struct slice name); /* -1: unknown */

/* Publication. config_publish() (control thread) takes ownership; the snapshot before it is retired
 * and freed after a grace period, by a later publish. When CONFIG_RETIRED_MAX have collected during
 * one grace period it waits for the next itself. config_get(): acquire, pairs with publish's
 * release. */
#define CONFIG_RETIRED_MAX 256
void config_publish(struct config *config);
const struct config *config_get(void);
/* When no reader is left: frees what is published and retired. */
void config_unpublish(void);
