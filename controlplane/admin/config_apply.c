#include "config_apply.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "log.h"

#define NAME_SHOWN 128 /* bytes of a client's word in an error */

static bool __attribute__((format(printf, 2, 3)))
refuse(char err[CONFIG_APPLY_ERROR_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err, CONFIG_APPLY_ERROR_SIZE, format, args);
    va_end(args);
    return false;
}

static bool refuse_set(char err[CONFIG_APPLY_ERROR_SIZE], struct slice name, const char *reason)
{
    return refuse(err, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                  (int)(name.len < NAME_SHOWN ? name.len : NAME_SHOWN), (const char *)name.data,
                  reason);
}

/* dir as the kernel names it, so that CONFIG GET and REWRITE do not depend on where we stand. */
static bool dir_name(struct config *config)
{
    char path[PATH_MAX];
    char reason[CONFIG_ERROR_SIZE];
    if (!getcwd(path, sizeof(path)))
        return false;
    struct slice word = slice_str(path);
    return config_set(config, slice_str("dir"), &word, 1, true, reason);
}

bool config_apply_boot(struct config *config, char err[CONFIG_APPLY_ERROR_SIZE])
{
    char reason[CONFIG_ERROR_SIZE];
    err[0] = '\0';
    if (!config_validate(config, reason))
        return refuse(err, "the configuration is not consistent: %s", reason);
    if (chdir(config->dir) != 0)
        return refuse(err, "can't change to dir '%.256s': %s; make it, or set another dir",
                      config->dir, strerror(errno));
    if (!dir_name(config))
        return refuse(err, "the name of dir '%.256s' can't be told", config->dir);
    if (!log_open(config->logfile, (enum log_level)config->loglevel))
        return refuse(err, "can't open logfile '%.256s': %s", config->logfile, strerror(errno));
    return true;
}

/* ---- CONFIG SET ---- */

static bool set_name_is_given_before(const struct slice *words, uint32_t at)
{
    int index = config_option_find(words[at]);
    for (uint32_t i = 0; i < at; i += 2) {
        if (config_option_find(words[i]) == index)
            return true;
    }
    return false;
}

static const char *set_refusal(const struct slice *words, uint32_t at, bool local)
{
    enum { PROTECTED_NO, PROTECTED_YES, PROTECTED_LOCAL };
    int flags = config_option_flags(config_option_find(words[at]));
    int mode = config_get()->enable_protected_configs;
    if (flags & FIXED)
        return "can't set immutable config";
    if ((flags & PROTECTED) && mode != PROTECTED_YES && !(mode == PROTECTED_LOCAL && local))
        return "can't set protected config";
    return set_name_is_given_before(words, at) ? "duplicate parameter" : NULL;
}

/* Redis looks at all names first: an unknown one is told before any other mistake. More names than
 * there are directives hold a repeated one, so there is no need to look further. */
static bool set_check_names(const struct slice *words, uint32_t word_count, bool local, char *err)
{
    uint32_t enough = 2 * ((uint32_t)config_option_count() + 1);
    if (word_count > enough)
        word_count = enough;
    for (uint32_t i = 0; i < word_count; i += 2) {
        struct slice name = words[i];
        if (config_option_find(name) < 0)
            return refuse(err, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                          (int)(name.len < NAME_SHOWN ? name.len : NAME_SHOWN),
                          (const char *)name.data);
    }
    for (uint32_t i = 0; i < word_count; i += 2) {
        const char *reason = set_refusal(words, i, local);
        if (reason)
            return refuse_set(err, words[i], reason);
    }
    return true;
}

static void set_log(const struct slice *words, uint32_t word_count)
{
    for (uint32_t i = 0; i < word_count; i += 2) {
        bool secret = (config_option_flags(config_option_find(words[i])) & SECRET) != 0;
        log_verbose("CONFIG SET %s %s", LOG_BYTES(words[i]),
                    secret ? "(not logged)" : LOG_BYTES(words[i + 1]));
    }
}

/* What can fail outside: last, so that a failure leaves nothing half done. */
static bool set_take_effect(struct config *next, const struct config *before, char *err)
{
    if (strcmp(next->dir, before->dir) != 0) {
        if (chdir(next->dir) != 0)
            return refuse_set(err, slice_str("dir"), strerror(errno));
        if (!dir_name(next))
            return refuse_set(err, slice_str("dir"), "its name can't be told");
    }
    log_level_set((enum log_level)next->loglevel);
    return true;
}

bool config_apply_set(const struct slice *words, uint32_t word_count, bool local,
                      char err[CONFIG_APPLY_ERROR_SIZE])
{
    char reason[CONFIG_ERROR_SIZE];
    const struct config *before = config_get();
    err[0] = '\0';
    if (word_count == 0 || word_count % 2 != 0)
        return refuse(err, "ERR syntax error");
    if (!set_check_names(words, word_count, local, err))
        return false;
    struct config *next = config_copy(before);
    for (uint32_t i = 0; i < word_count; i += 2) {
        if (!config_set(next, words[i], &words[i + 1], 1, false, reason)) {
            config_free(next);
            return refuse_set(err, words[i], reason);
        }
    }
    if (!config_validate(next, reason)) {
        config_free(next);
        return refuse_set(err, words[0], reason);
    }
    if (!set_take_effect(next, before, err)) {
        config_free(next);
        return false;
    }
    set_log(words, word_count);
    config_publish(next);
    return true;
}
