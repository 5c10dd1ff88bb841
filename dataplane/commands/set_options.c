#include "set_options.h"
#include "string_value.h"

struct set_word {
    const char *word;
    unsigned flag;
    unsigned excluded; /* with these before it the word is a syntax error */
};

static const struct set_word set_words[] = {
    {"nx", SET_NX, SET_XX},
    {"xx", SET_XX, SET_NX},
    {"get", SET_GET, 0},
    {"keepttl", SET_KEEPTTL, SET_TIMES},
    {"ex", SET_EX, SET_KEEPTTL | (SET_TIMES & ~SET_EX)},
    {"px", SET_PX, SET_KEEPTTL | (SET_TIMES & ~SET_PX)},
    {"exat", SET_EXAT, SET_KEEPTTL | (SET_TIMES & ~SET_EXAT)},
    {"pxat", SET_PXAT, SET_KEEPTTL | (SET_TIMES & ~SET_PXAT)},
    {NULL, 0, 0},
};

static const struct set_word getex_words[] = {
    {"persist", SET_PERSIST, SET_TIMES},
    {"ex", SET_EX, SET_PERSIST | (SET_TIMES & ~SET_EX)},
    {"px", SET_PX, SET_PERSIST | (SET_TIMES & ~SET_PX)},
    {"exat", SET_EXAT, SET_PERSIST | (SET_TIMES & ~SET_EXAT)},
    {"pxat", SET_PXAT, SET_PERSIST | (SET_TIMES & ~SET_PXAT)},
    {NULL, 0, 0},
};

bool set_options_parse(struct slice const *argv, uint32_t argc, uint32_t first, bool getex,
                       struct set_options *out)
{
    *out = (struct set_options){0};
    for (uint32_t i = first; i < argc; i++) {
        const struct set_word *w = getex ? getex_words : set_words;
        while (w->word && !slice_equal_word(argv[i], w->word))
            w++;
        if (!w->word || (out->flags & w->excluded))
            return false;
        out->flags |= w->flag;
        if (!(w->flag & SET_TIMES))
            continue;
        if (i + 1 == argc)
            return false;
        out->time = argv[++i];
    }
    return true;
}

void reply_bad_expire(struct call *c)
{
    reply_errorf(c->reply, "ERR invalid expire time in '%s' command", c->command->full_name);
}

bool set_time_resolve(struct call *c, struct slice text, unsigned flags, int64_t *expiry_ms)
{
    int64_t ms;
    if (!string_parse_i64(c, text, &ms))
        return false;
    bool seconds = flags & (SET_EX | SET_EXAT);
    bool relative = flags & (SET_EX | SET_PX);
    if (ms <= 0 || (seconds && __builtin_mul_overflow(ms, 1000, &ms)) ||
        (relative && __builtin_add_overflow(ms, c->ks->now_ms, &ms))) {
        reply_bad_expire(c);
        return false;
    }
    *expiry_ms = ms;
    return true;
}
