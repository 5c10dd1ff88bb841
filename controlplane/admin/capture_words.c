#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "capture_serve.h"
#include "check.h"
#include "numbers.h"

#define SUFFIX ".pcapng"

struct number_word {
    const char *name;
    uint64_t min, max;
};

enum { WORD_SNAPLEN, WORD_PACKETS, WORD_BYTES, WORD_SECONDS, WORD_QUEUE };

static const struct number_word number_words[] = {
    [WORD_SNAPLEN] = {"SNAPLEN", CAPTURE_SNAPLEN_MIN, CAPTURE_SNAPLEN_MAX},
    [WORD_PACKETS] = {"PACKETS", 1, INT64_MAX},
    [WORD_BYTES] = {"BYTES", CAPTURE_BYTES_MIN, INT64_MAX},
    [WORD_SECONDS] = {"SECONDS", 1, CAPTURE_SECONDS_MAX},
    [WORD_QUEUE] = {"QUEUE", CAPTURE_QUEUE_MIN, CAPTURE_QUEUE_MAX},
};

static bool name_char(uint8_t c)
{
    return isalnum(c) || c == '.' || c == '_' || c == '-';
}

/* A client must not be able to make a file that something else would read one day. */
static bool file_name_good(struct slice name)
{
    const size_t suffix_len = sizeof(SUFFIX) - 1;
    if (name.len <= suffix_len || name.len >= CAPTURE_FILE_SIZE || name.data[0] == '.' ||
        name.data[0] == '-' || memcmp(name.data + name.len - suffix_len, SUFFIX, suffix_len) != 0)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!name_char(name.data[i]))
            return false;
    return true;
}

static bool file_set(struct slice name, struct capture_spec *spec, char *error)
{
    if (!file_name_good(name)) {
        snprintf(error, ADMIN_ERROR_SIZE,
                 "ERR FILE must be a plain name of letters, digits, '.', '_' and '-' that ends in "
                 "%s, at most %d bytes: it is made in the working directory",
                 SUFFIX, CAPTURE_FILE_SIZE - 1);
        return false;
    }
    memcpy(spec->file, name.data, name.len);
    spec->file[name.len] = '\0';
    return true;
}

static void number_set(struct capture_spec *spec, size_t word, uint64_t value)
{
    switch (word) {
    case WORD_SNAPLEN:
        spec->snaplen = (uint32_t)value;
        break;
    case WORD_PACKETS:
        spec->packets_max = value;
        break;
    case WORD_BYTES:
        spec->bytes_max = value;
        break;
    case WORD_SECONDS:
        spec->seconds_max = (uint32_t)value;
        break;
    default:
        spec->queue_frames = (uint32_t)value;
    }
}

/* Sizes may have a unit, as in the configuration. */
static bool number_parse(struct slice text, size_t word, uint64_t *value)
{
    const struct number_word *w = &number_words[word];
    bool parsed = word == WORD_BYTES ? parse_memory(text, value) : parse_u64(text, value);
    return parsed && *value >= w->min && *value <= w->max;
}

static bool pair_set(struct slice name, struct slice value, struct capture_spec *spec, char *error)
{
    uint64_t number;
    if (slice_equal_word(name, "file"))
        return file_set(value, spec, error);
    for (size_t i = 0; i < count_of(number_words); i++) {
        const struct number_word *w = &number_words[i];
        if (!slice_equal_word(name, w->name))
            continue;
        if (number_parse(value, i, &number)) {
            number_set(spec, i, number);
            return true;
        }
        snprintf(error, ADMIN_ERROR_SIZE, "ERR %s must be between %llu and %llu", w->name,
                 (unsigned long long)w->min, (unsigned long long)w->max);
        return false;
    }
    strcpy(error, "ERR syntax error");
    return false;
}

bool capture_words_parse(const struct slice *words, uint32_t word_count, int64_t wall_s,
                         struct capture_spec *spec, char error[ADMIN_ERROR_SIZE])
{
    const time_t now = (time_t)wall_s;
    struct tm day;
    *spec = (struct capture_spec){.packets_max = CAPTURE_PACKETS_DEFAULT,
                                  .bytes_max = CAPTURE_BYTES_DEFAULT,
                                  .seconds_max = CAPTURE_SECONDS_DEFAULT,
                                  .queue_frames = CAPTURE_QUEUE_DEFAULT};
    CHECK(gmtime_r(&now, &day) != NULL);
    CHECK(strftime(spec->file, sizeof(spec->file), "capture-%Y%m%d-%H%M%S" SUFFIX, &day) > 0);
    if (word_count % 2 != 0) {
        strcpy(error, "ERR syntax error");
        return false;
    }
    for (uint32_t i = 0; i < word_count; i += 2)
        if (!pair_set(words[i], words[i + 1], spec, error))
            return false;
    return true;
}
