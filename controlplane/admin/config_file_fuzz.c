/* Any bytes as a configuration file: read or refused with a reason, the same way each time; and
 * whatever was read, the file rewritten for it reads back as exactly that. */
#include <stdlib.h>
#include "check.h"
#include "config_file.h"
#include "config_rewrite.h"

#define FUZZ_NAME "/no/such/folder/fuzz.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum includes { INCLUDES_NONE, INCLUDES_NOTHING, INCLUDES_SOMETHING };

/* An include of something that exists could be anything: a terminal, a pipe, another's file. */
static enum includes includes_of(struct slice text)
{
    enum includes found = INCLUDES_NONE;
    while (text.len > 0) {
        struct slice line = config_line_take(&text);
        struct slice words[CONFIG_WORDS_MAX];
        uint8_t *storage = malloc(line.len + 1);
        CHECK(storage);
        int count = config_line_split(line, storage, words, CONFIG_WORDS_MAX);
        size_t total = 0;
        for (int i = 0; i < count; i++)
            total += words[i].len;
        CHECK(total <= line.len);
        if (count == 2 && slice_equal_word(words[0], "include") && words[1].len > 0) {
            bool somewhere = memchr(words[1].data, '/', words[1].len) != NULL;
            found =
                somewhere || found == INCLUDES_SOMETHING ? INCLUDES_SOMETHING : INCLUDES_NOTHING;
        }
        free(storage);
    }
    return found;
}

static void check_same(const struct config *a, const struct config *b)
{
    for (int i = 0; i < config_option_count(); i++) {
        char *one = config_option_print(a, i);
        char *other = config_option_print(b, i);
        CHECK(strcmp(one, other) == 0);
        free(one);
        free(other);
    }
}

/* A file with an include that fails is refused before and after: nothing to compare then. */
static void check_rewritten(const struct config *config, struct slice text)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    size_t len, again_len;
    struct config *back = config_new();
    char *new_text = config_rewrite_text(config, FUZZ_NAME, text, &len);
    if (config_text_load(back, FUZZ_NAME, slice_from(new_text, len), err)) {
        check_same(config, back);
        char *again = config_rewrite_text(config, FUZZ_NAME, slice_from(new_text, len), &again_len);
        CHECK(len == again_len);
        CHECK(memcmp(new_text, again, len) == 0);
        free(again);
    } else {
        CHECK(includes_of(text) == INCLUDES_NOTHING);
    }
    free(new_text);
    config_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_from(data, size);
    char err[CONFIG_FILE_ERROR_SIZE];
    if (includes_of(text) == INCLUDES_SOMETHING)
        return 0;
    struct config *config = config_new();
    bool loaded = config_text_load(config, FUZZ_NAME, text, err);
    CHECK(loaded == (err[0] == '\0'));
    check_rewritten(config, text);
    config_free(config);
    return 0;
}
