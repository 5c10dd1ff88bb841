#include "redis_directives.h"
#include <stdio.h>
#include "check.h"

enum row_kind { ROW_ANY, ROW_ONLY, ROW_NEVER };

static const struct row {
    const char *name;
    enum row_kind kind;
    const char *value; /* ROW_ONLY: Redis' default */
    const char *why;
} rows[] = {
#define ANY(name, why) {name, ROW_ANY, NULL, why},
#define ONLY(name, value, why) {name, ROW_ONLY, value, why},
#define NEVER(name, why) {name, ROW_NEVER, NULL, why},
#include "redis_directives.def"
#undef ANY
#undef ONLY
#undef NEVER
};

static const struct row *row_find(struct slice name)
{
    for (size_t i = 0; i < count_of(rows); i++) {
        if (slice_equal_word(name, rows[i].name))
            return &rows[i];
    }
    return NULL;
}

/* The words, with a blank between each two, are value, whatever their case. */
static bool words_are(const struct slice *words, int word_count, const char *value)
{
    for (int i = 0; i < word_count; i++) {
        char part[32];
        size_t len = i + 1 < word_count ? strcspn(value, " ") : strlen(value);
        if (len >= sizeof(part))
            return false;
        memcpy(part, value, len);
        part[len] = '\0';
        if (!slice_equal_word(words[i], part))
            return false;
        value += len;
        if (i + 1 < word_count && *value++ != ' ')
            return false;
    }
    return true;
}

static enum redis_directive refuse(const struct row *row, char text[CONFIG_ERROR_SIZE])
{
    int len = snprintf(text, CONFIG_ERROR_SIZE, "%s is not available: %s", row->name, row->why);
    if (row->kind == ROW_ONLY && len > 0 && len < CONFIG_ERROR_SIZE)
        snprintf(text + len, CONFIG_ERROR_SIZE - (size_t)len, "; only %s is accepted",
                 row->value[0] ? row->value : "\"\"");
    return REDIS_DIRECTIVE_REFUSED;
}

enum redis_directive redis_directive_judge(struct slice name, const struct slice *words,
                                           int word_count, char text[CONFIG_ERROR_SIZE])
{
    text[0] = '\0';
    const struct row *row = config_option_find(name) < 0 ? row_find(name) : NULL;
    if (!row)
        return REDIS_DIRECTIVE_NOT;
    if (word_count < 1) {
        snprintf(text, CONFIG_ERROR_SIZE, "wrong number of arguments");
        return REDIS_DIRECTIVE_REFUSED;
    }
    if (row->kind == ROW_NEVER ||
        (row->kind == ROW_ONLY && !words_are(words, word_count, row->value)))
        return refuse(row, text);
    snprintf(text, CONFIG_ERROR_SIZE, "accepted, without effect: %s: %s", row->name, row->why);
    return REDIS_DIRECTIVE_ACCEPTED;
}

bool redis_directive_is_secret(struct slice name)
{
    static const char *const secrets[] = {"masterauth", "tls-client-key-file-pass",
                                          "tls-key-file-pass", "user"};
    for (size_t i = 0; i < count_of(secrets); i++) {
        if (slice_equal_word(name, secrets[i]))
            return true;
    }
    return false;
}
