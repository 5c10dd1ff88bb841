#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "config_table.h"
#include "numbers.h"

static bool __attribute__((format(printf, 2, 3)))
refuse(char err[CONFIG_ERROR_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err, CONFIG_ERROR_SIZE, format, args);
    va_end(args);
    return false;
}

static bool parse_octal(struct slice word, int64_t *out)
{
    /* Eight digits are far more than any mode has, and cannot overflow. */
    if (word.len == 0 || word.len > 8)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '7')
            return false;
        value = value * 8 + (word.data[i] - '0');
    }
    *out = value;
    return true;
}

static bool set_int(struct config *config, const struct option *option, struct slice word,
                    char *err)
{
    const struct option_range *range = &option->range;
    int64_t value;
    if (option->flags & OCTAL) {
        if (!parse_octal(word, &value))
            return refuse(err, "argument couldn't be parsed as an octal number");
    } else if (!parse_i64(word, &value)) {
        return refuse(err, "argument couldn't be parsed into an integer");
    }
    if (value < range->int_min || value > range->int_max) {
        const char *format = option->flags & OCTAL
                                 ? "argument must be between %" PRIo64 " and %" PRIo64 " inclusive"
                                 : "argument must be between %" PRId64 " and %" PRId64 " inclusive";
        snprintf(err, CONFIG_ERROR_SIZE, format, range->int_min, range->int_max);
        return false;
    }
    *(int64_t *)option_field(config, option) = value;
    return true;
}

static bool set_mem(struct config *config, const struct option *option, struct slice word,
                    char *err)
{
    const struct option_range *range = &option->range;
    uint64_t value;
    if (!parse_memory(word, &value))
        return refuse(err, "argument must be a memory value");
    if (value < range->mem_min || value > range->mem_max)
        return refuse(err, "argument must be between %" PRIu64 " and %" PRIu64 " inclusive",
                      range->mem_min, range->mem_max);
    *(uint64_t *)option_field(config, option) = value;
    return true;
}

static bool set_bool(struct config *config, const struct option *option, struct slice word,
                     char *err)
{
    bool yes = slice_equal_word(word, "yes");
    if (!yes && !slice_equal_word(word, "no"))
        return refuse(err, "argument must be 'yes' or 'no'");
    *(bool *)option_field(config, option) = yes;
    return true;
}

static bool slice_equal_ignoring_case(struct slice a, struct slice b)
{
    char word[64];
    if (b.len >= sizeof(word))
        return false;
    memcpy(word, b.data, b.len);
    word[b.len] = '\0';
    return slice_equal_word(a, word);
}

static bool set_enum(struct config *config, const struct option *option, struct slice word,
                     char *err)
{
    for (int i = 0;; i++) {
        struct slice name = option_enum_word(option, i);
        if (!name.data)
            break;
        if (slice_equal_ignoring_case(word, name)) {
            *(int *)option_field(config, option) = i;
            return true;
        }
    }
    size_t len =
        (size_t)snprintf(err, CONFIG_ERROR_SIZE, "argument(s) must be one of the following: ");
    for (int i = 0; len < CONFIG_ERROR_SIZE; i++) {
        struct slice name = option_enum_word(option, i);
        if (!name.data)
            break;
        len += (size_t)snprintf(err + len, CONFIG_ERROR_SIZE - len, "%s%.*s", i > 0 ? ", " : "",
                                (int)name.len, (const char *)name.data);
    }
    return false;
}

static bool set_str(struct config *config, const struct option *option, const struct slice *words,
                    int word_count, char *err)
{
    size_t len = (size_t)word_count - 1;
    for (int i = 0; i < word_count; i++) {
        if (words[i].len > CONFIG_STRING_MAX - len)
            return refuse(err, "argument is longer than %d bytes", CONFIG_STRING_MAX);
        if (words[i].len > 0 && memchr(words[i].data, '\0', words[i].len))
            return refuse(err, "argument must not contain a zero byte");
        len += words[i].len;
    }
    if ((option->flags & EMPTY_ONLY) && len > 0)
        return refuse(err, "%s", option->help);
    char *text = malloc(len + 1);
    CHECK(text);
    char *at = text;
    for (int i = 0; i < word_count; i++) {
        if (i > 0)
            *at++ = ' ';
        if (words[i].len > 0)
            memcpy(at, words[i].data, words[i].len);
        at += words[i].len;
    }
    *at = '\0';
    char **field = option_field(config, option);
    free(*field);
    *field = text;
    return true;
}

bool config_set(struct config *config, struct slice name, const struct slice *words, int word_count,
                bool booting, char err[CONFIG_ERROR_SIZE])
{
    err[0] = '\0';
    int index = config_option_find(name);
    if (index < 0)
        return refuse(err, "Bad directive or wrong number of arguments");
    const struct option *option = option_resolve(index);
    if (!booting && (option->flags & FIXED))
        return refuse(err, "can't set immutable config");
    bool many = option->kind == OPTION_SPECIAL || (option->flags & WORDS);
    if (word_count < 1 || (word_count > 1 && !many))
        return refuse(err, "wrong number of arguments");
    if (word_count > CONFIG_STRING_MAX)
        return refuse(err, "wrong number of arguments");
    switch (option->kind) {
    case OPTION_INT:
        return set_int(config, option, words[0], err);
    case OPTION_MEM:
        return set_mem(config, option, words[0], err);
    case OPTION_BOOL:
        return set_bool(config, option, words[0], err);
    case OPTION_ENUM:
        return set_enum(config, option, words[0], err);
    case OPTION_STR:
        return set_str(config, option, words, word_count, err);
    case OPTION_SPECIAL:
        return output_limit_set(config, words, word_count, err);
    }
    return refuse(err, "unknown kind of directive");
}
