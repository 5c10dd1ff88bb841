/* The rows of options.def as data, shared by the files of config: what a row is and where its value
 * stands in struct config. Private to common/config*.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "config.h"

enum option_kind { OPTION_INT, OPTION_MEM, OPTION_BOOL, OPTION_ENUM, OPTION_STR, OPTION_SPECIAL };

struct option_range {
    int64_t int_default, int_min, int_max;
    uint64_t mem_default, mem_min, mem_max;
};

struct option {
    const char *name;
    enum option_kind kind;
    int flags;
    size_t offset; /* of the field in struct config */
    struct option_range range;
    const char *text; /* OPTION_STR: the default; OPTION_ENUM: the words, "a|b|c" */
    const char *help;
};

/* The row itself, also of an alias. */
const struct option *option_row(int index);
/* The row whose value counts: that of an alias is its directive's. */
const struct option *option_resolve(int index);

static inline void *option_field(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

static inline const void *option_value(const struct config *config, const struct option *option)
{
    return (const char *)config + option->offset;
}

/* Word number index of an enum; data NULL past the last. */
struct slice option_enum_word(const struct option *option, int index);

/* Redis' names of the client classes; "slave" is what it prints, "replica" is read too. */
extern const char *const client_class_names[CLIENT_CLASSES];
extern const struct output_limit client_output_limit_defaults[CLIENT_CLASSES];

/* config_special.c: client-output-buffer-limit. */
bool output_limit_set(struct config *config, const struct slice *words, int word_count,
                      char err[CONFIG_ERROR_SIZE]);
char *output_limit_print(const struct config *config, bool for_file);

/* Bytes as Redis prints them: by CONFIG GET as a number, in a file with the largest unit that
 * divides them ("100mb"). */
#define MEMORY_TEXT_SIZE 32
const char *memory_text(char text[MEMORY_TEXT_SIZE], uint64_t bytes, bool for_file);
bool output_limit_is_default(const struct config *config);
