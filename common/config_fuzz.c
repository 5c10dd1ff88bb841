/* Any words for any directive: a refusal changes nothing and says why; what was taken prints as
 * something that is taken again. First byte: the directive; words end at line feeds. */
#include <stdlib.h>
#include "check.h"
#include "config.h"

#define FUZZ_WORDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int words_cut(const uint8_t *data, size_t size, struct slice words[FUZZ_WORDS_MAX])
{
    int count = 0;
    while (count < FUZZ_WORDS_MAX) {
        const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t len = end ? (size_t)(end - data) : size;
        words[count++] = slice_from(data, len);
        if (!end)
            break;
        data += len + 1;
        size -= len + 1;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice words[FUZZ_WORDS_MAX];
    char err[CONFIG_ERROR_SIZE];
    int index = data[0] % config_option_count();
    struct slice name = slice_str(config_option_name(index));
    int count = words_cut(data + 1, size - 1, words);
    struct config *config = config_new();
    char *before = config_option_print(config, index);
    bool taken = config_set(config, name, words, count, true, err);
    char *after = config_option_print(config, index);
    if (taken) {
        struct slice word = slice_str(after);
        CHECK(config_set(config, name, &word, 1, true, err));
        char *again = config_option_print(config, index);
        CHECK(strcmp(after, again) == 0);
        free(again);
    } else {
        CHECK(err[0] != '\0');
        CHECK(strcmp(before, after) == 0);
    }
    char *line = config_option_print_file(config, index);
    CHECK(line[0] != '\0');
    CHECK(!strchr(line, '\n'));
    free(line);
    free(before);
    free(after);
    config_free(config);
    return 0;
}
