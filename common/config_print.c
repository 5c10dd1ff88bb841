#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "config_table.h"

static char *text_copy(const char *data, size_t len)
{
    char *text = malloc(len + 1);
    CHECK(text);
    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

static char *print_int(const struct config *config, const struct option *option)
{
    char text[32];
    int64_t value = *(const int64_t *)option_value(config, option);
    int len = option->flags & OCTAL ? snprintf(text, sizeof(text), "%" PRIo64, (uint64_t)value)
                                    : snprintf(text, sizeof(text), "%" PRId64, value);
    return text_copy(text, (size_t)len);
}

const char *memory_text(char text[MEMORY_TEXT_SIZE], uint64_t bytes, bool for_file)
{
    static const char *const units[] = {"", "kb", "mb", "gb"};
    unsigned unit = 0;
    while (for_file && bytes > 0 && bytes % 1024 == 0 && unit + 1 < count_of(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, MEMORY_TEXT_SIZE, "%" PRIu64 "%s", bytes, units[unit]);
    return text;
}

static char *print_mem(const struct config *config, const struct option *option, bool for_file)
{
    char text[MEMORY_TEXT_SIZE];
    memory_text(text, *(const uint64_t *)option_value(config, option), for_file);
    return text_copy(text, strlen(text));
}

static char *option_print(const struct config *config, const struct option *option, bool for_file)
{
    const void *value = option_value(config, option);
    switch (option->kind) {
    case OPTION_INT:
        return print_int(config, option);
    case OPTION_MEM:
        return print_mem(config, option, for_file);
    case OPTION_BOOL:
        return *(const bool *)value ? text_copy("yes", 3) : text_copy("no", 2);
    case OPTION_ENUM: {
        struct slice word = option_enum_word(option, *(const int *)value);
        CHECK(word.data);
        return text_copy((const char *)word.data, word.len);
    }
    case OPTION_STR: {
        const char *text = *(char *const *)value;
        return text_copy(text, strlen(text));
    }
    case OPTION_SPECIAL:
        return output_limit_print(config, for_file);
    }
    check_failed(__FILE__, __LINE__, "a kind of directive without a printer");
}

char *config_option_print(const struct config *config, int index)
{
    return option_print(config, option_resolve(index), false);
}

/* Bytes that mean themselves in a configuration file; a comment sign and quotes do not. */
static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\' && c != '#';
}

static char *text_quote(const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = strlen(text);
    char *quoted = malloc(4 * len + 3);
    CHECK(quoted);
    char *at = quoted;
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c >= ' ' && c < 0x7f) {
            *at++ = (char)c;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    *at++ = '"';
    *at = '\0';
    return quoted;
}

char *config_option_print_file(const struct config *config, int index)
{
    char *text = option_print(config, option_resolve(index), true);
    /* Only strings can need quotes; the words of the others are ours. */
    if (option_resolve(index)->kind != OPTION_STR)
        return text;
    bool plain = text[0] != '\0';
    for (const char *at = text; *at; at++)
        plain = plain && is_plain((unsigned char)*at);
    if (plain)
        return text;
    char *quoted = text_quote(text);
    free(text);
    return quoted;
}

bool config_option_is_default(const struct config *config, int index)
{
    const struct option *option = option_resolve(index);
    const void *value = option_value(config, option);
    switch (option->kind) {
    case OPTION_INT:
        return *(const int64_t *)value == option->range.int_default;
    case OPTION_MEM:
        return *(const uint64_t *)value == option->range.mem_default;
    case OPTION_BOOL:
        return *(const bool *)value == (bool)option->range.int_default;
    case OPTION_ENUM:
        return *(const int *)value == (int)option->range.int_default;
    case OPTION_STR:
        return strcmp(*(char *const *)value, option->text) == 0;
    case OPTION_SPECIAL:
        return output_limit_is_default(config);
    }
    check_failed(__FILE__, __LINE__, "a kind of directive without a default");
}
