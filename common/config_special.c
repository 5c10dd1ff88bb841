/* client-output-buffer-limit: groups of class, hard limit, soft limit, soft seconds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "config_table.h"
#include "numbers.h"

const char *const client_class_names[CLIENT_CLASSES] = {"normal", "slave", "pubsub"};

/* Redis leaves normal clients without a limit; a node with bounded memory cannot. */
const struct output_limit client_output_limit_defaults[CLIENT_CLASSES] = {
    [CLIENT_NORMAL] = {1ull << 30, 0, 0},
    [CLIENT_REPLICA] = {256ull << 20, 64ull << 20, 60},
    [CLIENT_PUBSUB] = {32ull << 20, 8ull << 20, 60},
};

#define GROUP_WORDS 4
/* Every class once, and some more that override: nobody needs the rest. */
#define WORDS_MAX (GROUP_WORDS * CLIENT_CLASSES * 4)

/* Cuts words at blanks: CONFIG SET passes all in one. The count, -1 when there are too many. */
static int words_split(const struct slice *words, int word_count, struct slice pieces[WORDS_MAX])
{
    int count = 0;
    for (int i = 0; i < word_count; i++) {
        size_t at = 0;
        while (at < words[i].len) {
            const uint8_t *start = words[i].data + at;
            const uint8_t *blank = memchr(start, ' ', words[i].len - at);
            size_t len = blank ? (size_t)(blank - start) : words[i].len - at;
            at += len + 1;
            if (len == 0)
                continue;
            if (count == WORDS_MAX)
                return -1;
            pieces[count++] = slice_from(start, len);
        }
    }
    return count;
}

static int client_class_find(struct slice word)
{
    if (slice_equal_word(word, "replica"))
        return CLIENT_REPLICA;
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        if (slice_equal_word(word, client_class_names[i]))
            return i;
    }
    return -1;
}

bool output_limit_set(struct config *config, const struct slice *words, int word_count,
                      char err[CONFIG_ERROR_SIZE])
{
    struct slice pieces[WORDS_MAX];
    int count = words_split(words, word_count, pieces);
    if (count <= 0 || count % GROUP_WORDS != 0) {
        snprintf(err, CONFIG_ERROR_SIZE,
                 "Wrong number of arguments in buffer limit configuration.");
        return false;
    }
    struct output_limit limits[CLIENT_CLASSES];
    memcpy(limits, config->client_output_limit, sizeof(limits));
    for (int i = 0; i < count; i += GROUP_WORDS) {
        int class = client_class_find(pieces[i]);
        if (class < 0) {
            snprintf(err, CONFIG_ERROR_SIZE,
                     "Invalid client class specified in buffer limit configuration.");
            return false;
        }
        struct output_limit *limit = &limits[class];
        if (!parse_memory(pieces[i + 1], &limit->hard_bytes) ||
            !parse_memory(pieces[i + 2], &limit->soft_bytes) ||
            !parse_i64(pieces[i + 3], &limit->soft_s) || limit->soft_s < 0) {
            snprintf(err, CONFIG_ERROR_SIZE,
                     "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
            return false;
        }
    }
    memcpy(config->client_output_limit, limits, sizeof(limits));
    return true;
}

/* Files have "replica" since Redis 5. */
static const char *class_name(int class, bool for_file)
{
    return for_file && class == CLIENT_REPLICA ? "replica" : client_class_names[class];
}

char *output_limit_print(const struct config *config, bool for_file)
{
    char text[CLIENT_CLASSES * 96], hard[MEMORY_TEXT_SIZE], soft[MEMORY_TEXT_SIZE];
    size_t len = 0;
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        const struct output_limit *limit = &config->client_output_limit[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s %s %" PRId64,
                                i > 0 ? " " : "", class_name(i, for_file),
                                memory_text(hard, limit->hard_bytes, for_file),
                                memory_text(soft, limit->soft_bytes, for_file), limit->soft_s);
        CHECK(len < sizeof(text));
    }
    char *copy = strdup(text);
    CHECK(copy);
    return copy;
}

bool output_limit_is_default(const struct config *config)
{
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        const struct output_limit *limit = &config->client_output_limit[i];
        const struct output_limit *plain = &client_output_limit_defaults[i];
        if (limit->hard_bytes != plain->hard_bytes || limit->soft_bytes != plain->soft_bytes ||
            limit->soft_s != plain->soft_s)
            return false;
    }
    return true;
}
