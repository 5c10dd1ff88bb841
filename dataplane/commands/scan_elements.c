#include "scan_elements.h"
#include "numbers.h"

/* Redis gives up after ten buckets per element asked for; a table has at most two. */
#define BUCKETS_PER_ELEMENT 10

struct elements {
    struct reply *reply;
    struct slice pattern; /* data NULL: all */
    bool with_values;
    uint64_t met;   /* bulk strings looked at, as Redis counts */
    uint64_t count; /* bulk strings replied */
};

static void element_reply(void *arg, const struct dict_item *item)
{
    struct elements *e = arg;
    e->met += 1 + e->with_values;
    if (e->pattern.data && !glob_match(e->pattern, item->key, false))
        return;
    reply_bulk(e->reply, item->key);
    if (e->with_values)
        reply_bulk(e->reply, item->value);
    e->count += 1 + e->with_values;
}

bool scan_cursor_parse(struct slice text, uint64_t *cursor)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t at = text.len > 1 && (negative || text.data[0] == '+');
    uint64_t value = 0;
    for (; at < text.len; at++) {
        unsigned digit = (unsigned)text.data[at] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *cursor = negative ? 0 - value : value;
    return true;
}

/* False: an error was replied. */
static bool options_parse(struct call *c, int64_t *count, struct slice *pattern)
{
    *count = 10;
    *pattern = slice_from(NULL, 0);
    for (uint32_t i = 3; i < c->argc; i += 2) {
        bool has_value = i + 1 < c->argc;
        if (has_value && slice_equal_word(c->argv[i], "count")) {
            if (!arg_i64(c, c->argv[i + 1], count))
                return false;
            if (*count < 1) {
                reply_error(c->reply, REPLY_SYNTAX);
                return false;
            }
        } else if (has_value && slice_equal_word(c->argv[i], "match")) {
            *pattern = c->argv[i + 1];
        } else {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

static void cursor_reply(struct reply *r, uint64_t cursor)
{
    char text[NUMBER_TEXT_SIZE];
    reply_array(r, 2);
    reply_bulk(r, slice_from(text, format_u64(text, cursor)));
}

void scan_elements(struct call *c, enum obj_type type, scan_step step, bool with_values)
{
    struct elements e = {.reply = c->reply, .with_values = with_values};
    struct aggregate a;
    uint64_t cursor;
    int64_t count;
    if (!scan_cursor_parse(c->argv[2], &cursor)) {
        reply_error(c->reply, "ERR invalid cursor");
        return;
    }
    if (!aggregate_find(c, &c->keys[0], type, &a))
        return;
    if (!a.object) {
        cursor_reply(c->reply, 0);
        reply_array(c->reply, 0);
        return;
    }
    if (!options_parse(c, &count, &e.pattern))
        return;
    uint64_t size = object_count(type, a.object);
    if (call_is_long(c, (uint64_t)count < size ? (uint64_t)count : size))
        return;
    uint64_t buckets =
        count > INT64_MAX / BUCKETS_PER_ELEMENT ? INT64_MAX : (uint64_t)count * BUCKETS_PER_ELEMENT;
    struct reply_deferred elements;
    reply_defer_begin(c->reply, &elements);
    do {
        cursor = step(a.object, cursor, element_reply, &e);
    } while (call_pace(c, 2) && cursor != 0 && --buckets > 0 && e.met < (uint64_t)count);
    /* The cursor is known only now, and stands before the elements. */
    c->reply->out = elements.outer;
    cursor_reply(c->reply, cursor);
    c->reply->out = &elements.inner;
    reply_defer_end(c->reply, &elements, '*', e.count);
}
