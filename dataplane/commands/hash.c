/* Commands on hashes. */
#include "hash.h"
#include <math.h>
#include "aggregate.h"
#include "check.h"
#include "families.h"
#include "random_elements.h"
#include "scan_elements.h"
#include "work.h"

static bool hash_find(struct call *c, struct aggregate *a)
{
    return aggregate_find(c, &c->keys[0], OBJ_HASH, a);
}

static bool hash_open(struct call *c, struct aggregate *a)
{
    return aggregate_open(c, &c->keys[0], OBJ_HASH, a);
}

/* Sets the fields of argv[2 …]; how many are new. False: an error was replied. */
static bool set_fields(struct call *c, int64_t *added)
{
    struct aggregate a;
    struct type_limits limits = call_type_limits(c);
    enum hash_result result = HASH_ADDED;
    *added = 0;
    if (c->argc % 2 == 1) {
        command_reply_arity(c);
        return false;
    }
    if (!hash_open(c, &a))
        return false;
    for (uint32_t i = 2; i < c->argc && result != HASH_NO_MEMORY; i += 2) {
        result = hash_set(a.object, c->argv[i], c->argv[i + 1], &limits);
        *added += result == HASH_ADDED;
        call_pace(c, work_cost(c->argv[i + 1].len));
    }
    if (!aggregate_close(c, &a, true))
        return false;
    if (result == HASH_NO_MEMORY)
        reply_error(c->reply, REPLY_OOM);
    return result != HASH_NO_MEMORY;
}

void cmd_hset(struct call *c)
{
    int64_t added;
    if (set_fields(c, &added))
        reply_i64(c->reply, added);
}

void cmd_hmset(struct call *c)
{
    int64_t added;
    if (set_fields(c, &added))
        reply_ok(c->reply);
}

/* Stores one field and closes a. False: an error was replied. */
static bool set_one(struct call *c, struct aggregate *a, struct slice field, struct slice value)
{
    struct type_limits limits = call_type_limits(c);
    enum hash_result result = hash_set(a->object, field, value, &limits);
    if (!aggregate_close(c, a, result != HASH_NO_MEMORY))
        return false;
    if (result == HASH_NO_MEMORY)
        reply_error(c->reply, REPLY_OOM);
    return result != HASH_NO_MEMORY;
}

void cmd_hsetnx(struct call *c)
{
    struct aggregate a;
    struct slice value;
    char text[NUMBER_TEXT_SIZE];
    if (!hash_open(c, &a))
        return;
    if (hash_get(a.object, c->argv[2], &value, text)) {
        aggregate_close(c, &a, false);
        reply_i64(c->reply, 0);
    } else if (set_one(c, &a, c->argv[2], c->argv[3])) {
        reply_i64(c->reply, 1);
    }
}

static void reply_field(struct call *c, const struct hash *h, struct slice field)
{
    struct slice value;
    char text[NUMBER_TEXT_SIZE];
    if (h && hash_get(h, field, &value, text))
        reply_bulk(c->reply, value);
    else
        reply_null(c->reply);
}

void cmd_hget(struct call *c)
{
    struct aggregate a;
    if (hash_find(c, &a))
        reply_field(c, a.object, c->argv[2]);
}

void cmd_hmget(struct call *c)
{
    struct aggregate a;
    if (!hash_find(c, &a))
        return;
    reply_array(c->reply, c->argc - 2);
    for (uint32_t i = 2; i < c->argc && call_pace(c, 1); i++)
        reply_field(c, a.object, c->argv[i]);
}

void cmd_hdel(struct call *c)
{
    struct aggregate a;
    int64_t deleted = 0;
    if (!hash_find(c, &a))
        return;
    if (a.object) {
        for (uint32_t i = 2; i < c->argc; i++) {
            deleted += hash_delete(a.object, c->argv[i]);
            call_pace(c, 1);
        }
        aggregate_close(c, &a, deleted > 0);
    }
    reply_i64(c->reply, deleted);
}

void cmd_hlen(struct call *c)
{
    struct aggregate a;
    if (hash_find(c, &a))
        reply_i64(c->reply, a.object ? (int64_t)hash_count(a.object) : 0);
}

void cmd_hstrlen(struct call *c)
{
    struct aggregate a;
    struct slice value;
    char text[NUMBER_TEXT_SIZE];
    if (!hash_find(c, &a))
        return;
    bool found = a.object && hash_get(a.object, c->argv[2], &value, text);
    reply_i64(c->reply, found ? (int64_t)value.len : 0);
}

void cmd_hexists(struct call *c)
{
    struct aggregate a;
    struct slice value;
    char text[NUMBER_TEXT_SIZE];
    if (hash_find(c, &a))
        reply_i64(c->reply, a.object && hash_get(a.object, c->argv[2], &value, text));
}

enum get_all { GET_FIELDS = 1, GET_VALUES = 2 };

static void get_all(struct call *c, unsigned what)
{
    struct aggregate a;
    if (!hash_find(c, &a))
        return;
    uint64_t count = a.object ? hash_count(a.object) : 0;
    if (call_is_long(c, count))
        return;
    if (what == (GET_FIELDS | GET_VALUES))
        reply_map(c->reply, count);
    else
        reply_array(c->reply, count);
    if (!a.object)
        return;
    struct hash_iter it;
    struct hash_item item;
    hash_iter_init(&it, a.object);
    while (hash_iter_next(&it, &item)) {
        if (what & GET_FIELDS)
            reply_bulk(c->reply, item.field);
        if (what & GET_VALUES)
            reply_bulk(c->reply, item.value);
        if (!call_pace(c, work_cost(item.field.len + item.value.len)))
            break;
    }
}

void cmd_hgetall(struct call *c)
{
    get_all(c, GET_FIELDS | GET_VALUES);
}

void cmd_hkeys(struct call *c)
{
    get_all(c, GET_FIELDS);
}

void cmd_hvals(struct call *c)
{
    get_all(c, GET_VALUES);
}

/* ---- numbers ---- */

/* Adds increment to the number in the field; NULL, or the error to reply. */
static const char *field_add_i64(const struct hash *h, struct slice field, int64_t increment,
                                 int64_t *sum)
{
    struct slice value;
    char text[NUMBER_TEXT_SIZE];
    int64_t old = 0;
    if (hash_get(h, field, &value, text) && !parse_i64(value, &old))
        return "ERR hash value is not an integer";
    if (__builtin_add_overflow(old, increment, sum))
        return "ERR increment or decrement would overflow";
    return NULL;
}

void cmd_hincrby(struct call *c)
{
    struct aggregate a;
    int64_t increment, sum;
    if (!arg_i64(c, c->argv[3], &increment) || !hash_open(c, &a))
        return;
    const char *error = field_add_i64(a.object, c->argv[2], increment, &sum);
    if (error) {
        aggregate_close(c, &a, false);
        reply_error(c->reply, error);
        return;
    }
    char text[NUMBER_TEXT_SIZE];
    if (set_one(c, &a, c->argv[2], slice_from(text, format_i64(text, sum))))
        reply_i64(c->reply, sum);
}

static const char *field_add_float(const struct hash *h, struct slice field, long double increment,
                                   long double *sum)
{
    struct slice value;
    char text[NUMBER_TEXT_SIZE];
    long double old = 0;
    if (hash_get(h, field, &value, text) && !parse_long_double(value, &old))
        return "ERR hash value is not a float";
    *sum = old + increment;
    if (isnan(*sum) || isinf(*sum))
        return "ERR increment would produce NaN or Infinity";
    return NULL;
}

void cmd_hincrbyfloat(struct call *c)
{
    struct aggregate a;
    long double increment, sum;
    if (!parse_long_double(c->argv[3], &increment)) {
        reply_error(c->reply, REPLY_NOT_FLOAT);
        return;
    }
    if (isinf(increment)) {
        reply_error(c->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!hash_open(c, &a))
        return;
    const char *error = field_add_float(a.object, c->argv[2], increment, &sum);
    if (error) {
        aggregate_close(c, &a, false);
        reply_error(c->reply, error);
        return;
    }
    char text[LONG_DOUBLE_TEXT_SIZE];
    struct slice value = slice_from(text, format_long_double_human(text, sum));
    if (set_one(c, &a, c->argv[2], value))
        reply_bulk(c->reply, value);
}

/* ---- HRANDFIELD, HSCAN ---- */

static void reply_pair(struct call *c, const struct hash_item *item, bool with_values)
{
    if (with_values && c->reply->protocol >= 3)
        reply_array(c->reply, 2);
    reply_bulk(c->reply, item->field);
    if (with_values)
        reply_bulk(c->reply, item->value);
}

static void reply_pairs_header(struct call *c, uint64_t count, bool with_values)
{
    reply_array(c->reply, with_values && c->reply->protocol < 3 ? count * 2 : count);
}

static void reply_random_repeated(struct call *c, const struct hash *h, uint64_t count,
                                  bool with_values)
{
    struct hash_item item;
    reply_pairs_header(c, count, with_values);
    for (uint64_t i = 0; i < count; i++) {
        hash_random(h, &c->worker->rng, &item);
        reply_pair(c, &item, with_values);
        if (!call_pace(c, work_cost(item.value.len)))
            break;
    }
}

/* Distinct pairs in the order of the hash, whose table is not large compared with their number. */
static void reply_random_walk(struct call *c, const struct hash *h, uint64_t count,
                              bool with_values)
{
    struct random_picker picker = {.left = hash_count(h), .wanted = count};
    struct hash_iter it;
    struct hash_item item;
    reply_pairs_header(c, count, with_values);
    hash_iter_init(&it, h);
    while (picker.wanted > 0 && hash_iter_next(&it, &item)) {
        if (random_picker_take(&picker, &c->worker->rng))
            reply_pair(c, &item, with_values);
        if (!call_pace(c, work_cost(item.value.len)))
            break;
    }
}

/* Distinct fields drawn until there are enough. */
static void reply_random_drawn(struct call *c, const struct hash *h, uint64_t count,
                               bool with_values)
{
    struct dict *drawn = dict_new(true);
    struct hash_item item;
    enum dict_result result = drawn ? DICT_ADDED : DICT_NO_MEMORY;
    while (result != DICT_NO_MEMORY && dict_count(drawn) < count) {
        hash_random(h, &c->worker->rng, &item);
        result = dict_put(drawn, item.field, with_values ? item.value : slice_from(NULL, 0));
        call_pace(c, work_cost(item.value.len));
    }
    if (result == DICT_NO_MEMORY) {
        reply_error(c->reply, REPLY_OOM);
    } else {
        struct dict_iter it;
        struct dict_item pair;
        reply_pairs_header(c, count, with_values);
        dict_iter_init(&it, drawn);
        while (dict_iter_next(&it, &pair)) {
            item.field = pair.key;
            item.value = pair.value;
            reply_pair(c, &item, with_values);
            call_pace(c, work_cost(item.value.len));
        }
    }
    while (drawn && !dict_free_some(drawn, WORK_PIECE))
        call_pace(c, WORK_PIECE);
}

static void reply_random_distinct(struct call *c, const struct hash *h, uint64_t count,
                                  bool with_values)
{
    if (count > hash_count(h))
        count = hash_count(h);
    if (hash_encoding(h) == ENC_HASHTABLE && count <= hash_count(h) / RANDOM_DRAW_SHARE)
        reply_random_drawn(c, h, count, with_values);
    else
        reply_random_walk(c, h, count, with_values);
}

/* False: an error was replied. */
static bool parse_random_args(struct call *c, int64_t *count, bool *with_values)
{
    *with_values = c->argc == 4;
    if (!arg_range(c, c->argv[2], -INT64_MAX, INT64_MAX, NULL, count))
        return false;
    if (c->argc > 4 || (c->argc == 4 && !slice_equal_word(c->argv[3], "withvalues"))) {
        reply_error(c->reply, REPLY_SYNTAX);
        return false;
    }
    if (*with_values && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2)) {
        reply_error(c->reply, "ERR value is out of range");
        return false;
    }
    return true;
}

void cmd_hrandfield(struct call *c)
{
    struct aggregate a;
    int64_t count = 0;
    bool with_values = false;
    if (c->argc > 2 && !parse_random_args(c, &count, &with_values))
        return;
    if (!hash_find(c, &a))
        return;
    if (c->argc == 2 && !a.object) {
        reply_null(c->reply);
    } else if (c->argc == 2) {
        struct hash_item item;
        hash_random(a.object, &c->worker->rng, &item);
        reply_bulk(c->reply, item.field);
    } else if (!a.object || count == 0) {
        reply_array(c->reply, 0);
    } else if (count < -RANDOM_REPEATS_MAX) {
        reply_error(c->reply, "ERR value is out of range");
    } else if (call_is_long(c, random_steps(count, hash_count(a.object)))) {
        return;
    } else if (count < 0) {
        reply_random_repeated(c, a.object, (uint64_t)-count, with_values);
    } else {
        reply_random_distinct(c, a.object, (uint64_t)count, with_values);
    }
}

static uint64_t hash_scan_step(const void *object, uint64_t cursor,
                               void (*each)(void *arg, const struct dict_item *item), void *arg)
{
    return hash_scan(object, cursor, each, arg);
}

void cmd_hscan(struct call *c)
{
    scan_elements(c, OBJ_HASH, hash_scan_step, true);
}
