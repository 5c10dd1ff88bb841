#include "command.h"
#include "check.h"
#include "numbers.h"

struct key_sink {
    uint32_t *out;
    uint32_t max;
    int count;
};

static void key_sink_add(struct key_sink *s, int index)
{
    if ((uint32_t)s->count < s->max)
        s->out[s->count] = (uint32_t)index;
    s->count++;
}

/* Index of the first key (or of what a key count is relative to); 0: the keyword is not there. */
static int spec_begin(const struct key_spec *spec, const struct slice *argv, int argc)
{
    if (!spec->keyword)
        return spec->begin;
    int start = spec->begin > 0 ? spec->begin : argc + spec->begin;
    int end = spec->begin > 0 ? argc - 1 : 1;
    int step = start <= end ? 1 : -1;
    for (int i = start; i != end && i >= 1 && i < argc; i += step) {
        if (slice_equal_word(argv[i], spec->keyword))
            return i + 1;
    }
    return 0;
}

static int range_last(const struct key_spec *spec, int first, int argc)
{
    if (spec->last >= 0)
        return first + spec->last;
    if (spec->limit <= 1)
        return argc + spec->last;
    return first + (argc - first) / spec->limit + spec->last;
}

/* False: malformed. */
static bool spec_keys(const struct key_spec *spec, const struct slice *argv, int argc,
                      struct key_sink *sink)
{
    int first = spec_begin(spec, argv, argc);
    if (first == 0)
        return true;
    int step = spec->step > 0 ? spec->step : 1;
    int64_t last;
    if (spec->keynum_step > 0) {
        int64_t count;
        if (first + spec->keynum_index >= argc ||
            !parse_i64(argv[first + spec->keynum_index], &count) || count < 0 || count > argc)
            return false;
        first += spec->keynum_first;
        step = spec->keynum_step;
        last = first + (count - 1) * step;
    } else {
        last = range_last(spec, first, argc);
    }
    for (int64_t i = first; i <= last; i += step) {
        if (i >= argc || i < 1)
            return false;
        key_sink_add(sink, (int)i);
    }
    return true;
}

/* One key, or, when that is empty, all behind the word KEYS, which may be a password too. */
int command_keys_migrate(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t max)
{
    struct key_sink sink = {out, max, 0};
    uint32_t at = 6;
    if (argc <= 3)
        return -1;
    while (argv[3].len == 0 && at < argc && !slice_equal_word(argv[at], "keys"))
        at += slice_equal_word(argv[at], "auth2") ? 3 : slice_equal_word(argv[at], "auth") ? 2 : 1;
    if (argv[3].len > 0 || at >= argc)
        key_sink_add(&sink, 3);
    else
        for (at++; at < argc; at++)
            key_sink_add(&sink, (int)at);
    return sink.count;
}

int command_keys(const struct command *cmd, const struct slice *argv, uint32_t argc, uint32_t *out,
                 uint32_t max)
{
    struct key_sink sink = {out, max, 0};
    if (cmd->find_keys)
        return cmd->find_keys(argv, argc, out, max);
    for (int i = 0; i < KEY_SPECS_MAX && cmd->keys[i].begin != 0; i++) {
        if (cmd->keys[i].flags & KEY_NOT_KEY)
            continue;
        if (!spec_keys(&cmd->keys[i], argv, (int)argc, &sink))
            return -1;
    }
    return sink.count;
}

void command_keys_written(const struct command *cmd, const struct slice *argv, uint32_t argc,
                          bool *written, uint32_t count)
{
    struct key_sink sink = {NULL, 0, 0};
    uint32_t at = 0;
    for (; cmd->find_keys && at < count; at++)
        written[at] = true;
    for (int i = 0; i < KEY_SPECS_MAX && cmd->keys[i].begin != 0; i++) {
        if (cmd->keys[i].flags & KEY_NOT_KEY)
            continue;
        if (!spec_keys(&cmd->keys[i], argv, (int)argc, &sink))
            break;
        for (; at < count && at < (uint32_t)sink.count; at++)
            written[at] = !(cmd->keys[i].flags & KEY_RO);
    }
}
