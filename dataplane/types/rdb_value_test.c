#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "intset.h"
#include "list.h"
#include "rdb_format.h"
#include "rdb_old_forms.h"
#include "rdb_value.h"
#include "set.h"
#include "test_values.h"

#define LITERAL(text) slice_from(text, sizeof(text) - 1)
/* The same for static tables. */
#define CONSTANT(text)                            \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const struct type_limits limits = {
    .hash_listpack_entries = 128,
    .hash_listpack_value_bytes = 64,
    .set_intset_entries = 128,
    .list_listpack_size = -2,
};

/* ---- bytes of a value ---- */

struct bytes {
    uint8_t *data;
    size_t len;
};

static void bytes_take(struct bytes *b, struct outbuf *out)
{
    struct outbuf_cursor cursor;
    b->len = out->len;
    b->data = malloc(out->len + 1);
    outbuf_cursor_reset(out, &cursor);
    outbuf_copy(out, &cursor, b->data, out->len);
    outbuf_clear(out);
}

/* Type byte and value, in steps of so much budget. */
static struct bytes encode(const struct rdb_value *v, bool compress, int64_t budget)
{
    struct outbuf out;
    struct bytes b;
    struct rdb_encoder e;
    struct rdb_writer w = {.out = &out, .compress = compress};
    outbuf_init(&out);
    rdb_write_byte(&w, rdb_value_type(v));
    rdb_encoder_init(&e, v);
    while (!rdb_encoder_step(&e, &w, budget))
        continue;
    rdb_encoder_fini(&e);
    bytes_take(&b, &out);
    return b;
}

/* A type byte and strings, and lengths where s.data is NULL. */
static struct bytes compose(uint8_t type, const struct slice *parts, unsigned n)
{
    struct outbuf out;
    struct bytes b;
    struct rdb_writer w = {.out = &out, .compress = false};
    outbuf_init(&out);
    rdb_write_byte(&w, type);
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].data && parts[i].len <= RDB_LZF_PIECE) {
            rdb_write_string(&w, parts[i]);
        } else {
            rdb_write_length(&w, parts[i].len);
            if (parts[i].data)
                outbuf_append(&out, parts[i].data, parts[i].len);
        }
    }
    bytes_take(&b, &out);
    return b;
}

#define COUNT(n) slice_from(NULL, n)
#define COMPOSE(type, ...)                             \
    compose(type, (const struct slice[]){__VA_ARGS__}, \
            sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

/* ---- decoding ---- */

struct decoded {
    struct rdb_decoder decoder;
    struct rdb_value value;
};

/* Windows grow by step bytes; 0: all at once. The decoder lives on for the text. */
static enum rdb_result decode(struct decoded *d, struct slice bytes, size_t step, int64_t budget)
{
    struct rdb_reader r = {.string_max = RDB_STRING_MAX};
    size_t begin = 1, end = step ? 1 : bytes.len;
    d->value = (struct rdb_value){0};
    if (bytes.len == 0)
        return RDB_INVALID;
    rdb_decoder_init(&d->decoder, bytes.data[0], &limits);
    enum rdb_result result;
    for (;;) {
        r.in = slice_from(bytes.data + begin, end - begin);
        r.last = end == bytes.len;
        r.budget = budget;
        result = rdb_decoder_step(&d->decoder, &r);
        begin = end - r.in.len;
        if (result == RDB_MORE)
            end = end + step < bytes.len ? end + step : bytes.len;
        else if (result != RDB_PAUSE)
            break;
    }
    if (result == RDB_DONE) {
        rdb_decoder_take(&d->decoder, &d->value);
        if (begin != bytes.len)
            result = RDB_INVALID;
    }
    return result;
}

static void decoded_free(struct decoded *d)
{
    if (d->value.object)
        object_free(d->value.type, d->value.object);
    if (d->value.big)
        bigstr_put(d->value.big);
    rdb_decoder_fini(&d->decoder);
}

static void validate(const struct rdb_value *v)
{
    if (v->type == OBJ_LIST)
        quicklist_validate(&((struct list *)v->object)->elements);
    else if (v->type == OBJ_SET)
        set_validate(v->object);
    else if (v->type == OBJ_HASH)
        hash_validate(v->object);
}

/* In all ways of cutting; the last result stays in d. */
static void decode_all_ways(struct decoded *d, struct slice bytes)
{
    static const size_t steps[] = {1, 7, 100, 10000, 0};
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (i > 0)
            decoded_free(d);
        assert_int_equal(decode(d, bytes, steps[i], i % 2 ? 1 : 1000), RDB_DONE);
        validate(&d->value);
    }
}

static void assert_invalid(struct bytes b)
{
    struct decoded d;
    assert_int_equal(decode(&d, slice_from(b.data, b.len), 0, 1000), RDB_INVALID);
    decoded_free(&d);
    assert_int_equal(decode(&d, slice_from(b.data, b.len), 3, 1000), RDB_INVALID);
    decoded_free(&d);
    free(b.data);
}

/* ---- what a list, set or hash holds ---- */

static void assert_list(const struct rdb_value *v, const struct slice *want, size_t n)
{
    char text[NUMBER_TEXT_SIZE];
    assert_int_equal(v->type, OBJ_LIST);
    const struct list *l = v->object;
    assert_int_equal(list_count(l), n);
    struct quicklist_pos at = quicklist_seek(&l->elements, 0);
    for (size_t i = 0; i < n; i++) {
        assert_true(slice_equal(quicklist_get(at, text), want[i]));
        at = quicklist_next(at);
    }
}

static void assert_set(const struct rdb_value *v, const struct slice *want, size_t n)
{
    assert_int_equal(v->type, OBJ_SET);
    assert_int_equal(set_count(v->object), n);
    for (size_t i = 0; i < n; i++)
        assert_true(set_contains(v->object, want[i]));
}

static void assert_hash(const struct rdb_value *v, const struct slice *want, size_t n)
{
    char text[NUMBER_TEXT_SIZE];
    struct slice value;
    assert_int_equal(v->type, OBJ_HASH);
    assert_int_equal(hash_count(v->object), n / 2);
    for (size_t i = 0; i < n; i += 2) {
        assert_true(hash_get(v->object, want[i], &value, text));
        assert_true(slice_equal(value, want[i + 1]));
    }
}

static void assert_same_text(const struct rdb_value *a, const struct rdb_value *b)
{
    size_t len = a->big ? bigstr_len(a->big) : a->text.len;
    assert_int_equal(b->big ? bigstr_len(b->big) : b->text.len, len);
    assert_int_equal(!a->big, !b->big);
    if (!a->big) {
        assert_true(slice_equal(a->text, b->text));
        return;
    }
    uint8_t *x = malloc(len), *y = malloc(len);
    bigstr_copy(a->big, 0, len, x);
    bigstr_copy(b->big, 0, len, y);
    assert_memory_equal(x, y, len);
    free(x);
    free(y);
}

static void assert_same(const struct rdb_value *a, const struct rdb_value *b)
{
    assert_int_equal(a->type, b->type);
    if (a->type == OBJ_STRING) {
        assert_same_text(a, b);
        return;
    }
    assert_int_equal(object_count(a->type, a->object), object_count(b->type, b->object));
    assert_int_equal(object_encoding(a->type, a->object), object_encoding(b->type, b->object));
    if (a->type == OBJ_LIST) {
        char text[2][NUMBER_TEXT_SIZE];
        struct quicklist_pos x = quicklist_seek(&((struct list *)a->object)->elements, 0);
        struct quicklist_pos y = quicklist_seek(&((struct list *)b->object)->elements, 0);
        for (; x.node; x = quicklist_next(x), y = quicklist_next(y))
            assert_true(slice_equal(quicklist_get(x, text[0]), quicklist_get(y, text[1])));
    } else if (a->type == OBJ_SET) {
        struct set_iter it;
        struct slice member;
        set_iter_init(&it, a->object);
        while (set_iter_next(&it, &member))
            assert_true(set_contains(b->object, member));
    } else {
        struct hash_iter it;
        struct hash_item item;
        struct slice value;
        char text[NUMBER_TEXT_SIZE];
        hash_iter_init(&it, a->object);
        while (hash_iter_next(&it, &item)) {
            assert_true(hash_get(b->object, item.field, &value, text));
            assert_true(slice_equal(value, item.value));
        }
    }
}

/* ---- there and back ---- */

static void there_and_back(const struct rdb_value *v)
{
    for (unsigned i = 0; i < 2; i++) {
        struct decoded d;
        struct bytes b = encode(v, i == 0, i == 0 ? 1 : 100000);
        struct slice bytes = slice_from(b.data, b.len);
        static const size_t steps[] = {0, 5, 5000};
        for (unsigned s = 0; s < 3; s++) {
            assert_int_equal(decode(&d, bytes, steps[s], 500), RDB_DONE);
            validate(&d.value);
            assert_same(v, &d.value);
            decoded_free(&d);
        }
        free(b.data);
    }
}

static void test_strings(void **state)
{
    static uint8_t text[200000];
    static const size_t lens[] = {0, 1, 20, 21, 4096, 4097, 16384, 16385, 200000};
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        for (unsigned kind = 0; kind < 2; kind++) {
            for (size_t at = 0; at < lens[i]; at++)
                text[at] = (uint8_t)(kind ? at * at / 7 : 'x');
            struct rdb_value v = {.type = OBJ_STRING};
            if (lens[i] > ENTRY_EMBED_MAX)
                v.big = bigstr_new(slice_from(text, lens[i]));
            else
                v.text = slice_from(text, lens[i]);
            there_and_back(&v);
            if (v.big)
                bigstr_put(v.big);
        }
    }
    there_and_back(&(struct rdb_value){.type = OBJ_STRING, .text = LITERAL("-12345")});
}

static void test_random_aggregates(void **state)
{
    static struct test_value a, b;
    struct rng rng;
    rng_seed(&rng, 11);
    for (unsigned round = 0; round < 60; round++) {
        struct list *l = list_new();
        struct set *s = set_new(), *numbers = set_new();
        struct hash *h = hash_new();
        size_t count = 1 + rng_below(&rng, round % 3 ? 20 : 400);
        size_t len_max = round % 10 == 0 ? TEST_VALUE_MAX : 60;
        for (size_t i = 0; i < count; i++) {
            test_value_random(&a, &rng, len_max);
            test_value_random(&b, &rng, len_max);
            assert_true(quicklist_push(&l->elements, test_slice(&a), false, -2));
            set_add(s, test_slice(&a), &limits);
            hash_set(h, test_slice(&a), test_slice(&b), &limits);
            b.len = format_i64((char *)b.bytes, (int64_t)(rng_next(&rng) >> rng_below(&rng, 64)));
            set_add(numbers, test_slice(&b), &limits);
        }
        there_and_back(&(struct rdb_value){.type = OBJ_LIST, .object = l});
        there_and_back(&(struct rdb_value){.type = OBJ_SET, .object = s});
        there_and_back(&(struct rdb_value){.type = OBJ_SET, .object = numbers});
        there_and_back(&(struct rdb_value){.type = OBJ_HASH, .object = h});
        list_free(l);
        set_free(s);
        set_free(numbers);
        hash_free(h);
    }
}

static void test_large_aggregates(void **state)
{
    struct set *s = set_new();
    struct hash *h = hash_new();
    struct list *l = list_new();
    char text[40];
    for (unsigned i = 0; i < 20000; i++) {
        struct slice value = slice_from(text, (size_t)snprintf(text, sizeof(text), "value:%u", i));
        assert_int_equal(set_add(s, value, &limits), SET_ADDED);
        assert_int_equal(hash_set(h, value, value, &limits), HASH_ADDED);
        assert_true(quicklist_push(&l->elements, value, false, -2));
    }
    there_and_back(&(struct rdb_value){.type = OBJ_SET, .object = s});
    there_and_back(&(struct rdb_value){.type = OBJ_HASH, .object = h});
    there_and_back(&(struct rdb_value){.type = OBJ_LIST, .object = l});
    set_free(s);
    hash_free(h);
    list_free(l);
}

/* Redis has no plain nodes below 1 GB: a large element is a listpack of one. */
static void test_large_elements_are_listpacks_of_one(void **state)
{
    static uint8_t text[100000];
    struct list *l = list_new();
    struct rdb_value v = {.type = OBJ_LIST, .object = l};
    memset(text, 'y', sizeof(text));
    assert_true(quicklist_push(&l->elements, slice_from(text, sizeof(text)), false, -2));
    assert_true(l->elements.head->plain);
    struct bytes b = encode(&v, false, 1000);
    uint8_t *lp = listpack_new();
    assert_true(listpack_append(&lp, slice_from(text, sizeof(text))));
    struct bytes want = COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(1), COUNT(RDB_CONTAINER_PACKED),
                                slice_from(lp, listpack_bytes(lp)));
    assert_int_equal(b.len, want.len);
    assert_memory_equal(b.data, want.data, want.len);
    there_and_back(&v);
    free(lp);
    free(b.data);
    free(want.data);
    list_free(l);
}

/* ---- what other versions wrote ---- */

static const struct slice pairs[] = {
    CONSTANT("name"), CONSTANT("value"),       CONSTANT("7"),   CONSTANT("-3"),
    CONSTANT("100"),  CONSTANT("-4000"),       CONSTANT("big"), CONSTANT("9223372036854775807"),
    CONSTANT("mid"),  CONSTANT("-70000"),      CONSTANT("i24"), CONSTANT("8000000"),
    CONSTANT(""),     CONSTANT("empty field"),
};
#define PAIR_STRINGS (sizeof(pairs) / sizeof(pairs[0]))

static void test_plain_list_set_and_hash(void **state)
{
    struct decoded d;
    struct bytes b = COMPOSE(RDB_LIST, COUNT(4), pairs[0], pairs[1], pairs[2], pairs[1]);
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_list(&d.value, (struct slice[]){pairs[0], pairs[1], pairs[2], pairs[1]}, 4);
    decoded_free(&d);
    free(b.data);
    b = COMPOSE(RDB_SET, COUNT(3), pairs[2], pairs[3], pairs[4]);
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_set(&d.value, pairs + 2, 3);
    assert_int_equal(set_encoding(d.value.object), ENC_INTSET);
    decoded_free(&d);
    free(b.data);
    b = COMPOSE(RDB_HASH, COUNT(2), pairs[0], pairs[1], pairs[2], pairs[3]);
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_hash(&d.value, pairs, 4);
    assert_int_equal(hash_encoding(d.value.object), ENC_LISTPACK);
    decoded_free(&d);
    free(b.data);
}

static void ziplist_of_pairs(struct old_form *f)
{
    ziplist_begin(f);
    for (size_t i = 0; i < PAIR_STRINGS; i++)
        ziplist_add(f, pairs[i]);
    ziplist_finish(f);
}

static void test_ziplists(void **state)
{
    static struct old_form f;
    static uint8_t text[20000];
    struct decoded d;
    ziplist_of_pairs(&f);
    struct bytes b = COMPOSE(RDB_HASH_ZIPLIST, old_slice(&f));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_hash(&d.value, pairs, PAIR_STRINGS);
    decoded_free(&d);
    free(b.data);
    b = COMPOSE(RDB_LIST_ZIPLIST, old_slice(&f));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_list(&d.value, pairs, PAIR_STRINGS);
    decoded_free(&d);
    free(b.data);
    /* All lengths of strings, and entries whose size needs five bytes in the next one. */
    memset(text, 'z', sizeof(text));
    const struct slice longs[] = {slice_from(text, 63),    slice_from(text, 64),
                                  slice_from(text, 300),   slice_from(text, 16383),
                                  slice_from(text, 16384), LITERAL("12")};
    ziplist_begin(&f);
    for (unsigned i = 0; i < 6; i++)
        ziplist_add(&f, longs[i]);
    ziplist_finish(&f);
    b = COMPOSE(RDB_LIST_ZIPLIST, old_slice(&f));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_list(&d.value, longs, 6);
    decoded_free(&d);
    free(b.data);
}

static void test_quicklists_of_ziplists(void **state)
{
    static struct old_form f, empty;
    struct decoded d;
    ziplist_of_pairs(&f);
    ziplist_begin(&empty);
    ziplist_finish(&empty);
    struct bytes b =
        COMPOSE(RDB_LIST_QUICKLIST, COUNT(3), old_slice(&f), old_slice(&empty), old_slice(&f));
    decode_all_ways(&d, slice_from(b.data, b.len));
    struct slice want[2 * PAIR_STRINGS];
    memcpy(want, pairs, sizeof(pairs));
    memcpy(want + PAIR_STRINGS, pairs, sizeof(pairs));
    assert_list(&d.value, want, 2 * PAIR_STRINGS);
    decoded_free(&d);
    free(b.data);
    assert_invalid(COMPOSE(RDB_LIST_QUICKLIST, COUNT(1), old_slice(&empty)));
    assert_invalid(COMPOSE(RDB_LIST_QUICKLIST, COUNT(2), old_slice(&f)));
}

static void test_zipmaps(void **state)
{
    static struct old_form f;
    static uint8_t text[1000];
    struct decoded d;
    memset(text, 'm', sizeof(text));
    const struct slice want[] = {LITERAL("a"),          LITERAL("1"), slice_from(text, 254),
                                 slice_from(text, 500), LITERAL("e"), LITERAL("")};
    zipmap_begin(&f);
    for (unsigned i = 0; i < 6; i += 2)
        zipmap_add(&f, want[i], want[i + 1], (uint8_t)i);
    zipmap_finish(&f);
    struct bytes b = COMPOSE(RDB_HASH_ZIPMAP, old_slice(&f));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_hash(&d.value, want, 6);
    decoded_free(&d);
    free(b.data);
    zipmap_begin(&f);
    zipmap_finish(&f);
    assert_invalid(COMPOSE(RDB_HASH_ZIPMAP, old_slice(&f)));
    zipmap_begin(&f);
    zipmap_add(&f, want[0], want[1], 0);
    zipmap_add(&f, want[0], want[1], 0);
    zipmap_finish(&f);
    assert_invalid(COMPOSE(RDB_HASH_ZIPMAP, old_slice(&f)));
}

static void test_sets_as_listpacks(void **state)
{
    struct decoded d;
    uint8_t *lp = listpack_new();
    for (size_t i = 0; i < PAIR_STRINGS; i++)
        assert_true(listpack_append(&lp, pairs[i]));
    struct bytes b = COMPOSE(RDB_SET_LISTPACK, slice_from(lp, listpack_bytes(lp)));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_set(&d.value, pairs, PAIR_STRINGS);
    decoded_free(&d);
    free(b.data);
    assert_true(listpack_append(&lp, pairs[3]));
    assert_invalid(COMPOSE(RDB_SET_LISTPACK, slice_from(lp, listpack_bytes(lp))));
    free(lp);
}

/* What is over our limits, in compact forms that Redis keeps as they are or not. */
static void test_large_compact_forms_become_tables(void **state)
{
    struct decoded d;
    uint8_t *lp = listpack_new(), *nodes = listpack_new(), *is = intset_new();
    char text[120];
    for (int i = 0; i < 2000; i++) {
        memset(text, 'v', sizeof(text));
        size_t len = (size_t)snprintf(text, sizeof(text), "field:%d", i);
        assert_true(listpack_append(&lp, slice_from(text, len)));
        assert_true(listpack_append(&lp, slice_from(text, sizeof(text))));
        assert_true(listpack_append(&nodes, slice_from(text, sizeof(text))));
        assert_int_equal(intset_add(&is, i * 7), INTSET_CHANGED);
    }
    assert_true(listpack_bytes(lp) > 65536);
    struct bytes b = COMPOSE(RDB_HASH_LISTPACK, slice_from(lp, listpack_bytes(lp)));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_int_equal(hash_count(d.value.object), 2000);
    assert_int_equal(hash_encoding(d.value.object), ENC_HASHTABLE);
    decoded_free(&d);
    free(b.data);
    b = COMPOSE(RDB_SET_INTSET, slice_from(is, intset_bytes(is)));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_int_equal(set_count(d.value.object), 2000);
    assert_int_equal(set_encoding(d.value.object), ENC_HASHTABLE);
    decoded_free(&d);
    free(b.data);
    b = COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(1), COUNT(RDB_CONTAINER_PACKED),
                slice_from(nodes, listpack_bytes(nodes)));
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_int_equal(list_count(d.value.object), 2000);
    assert_true(list_node_count(d.value.object) > 10);
    decoded_free(&d);
    free(b.data);
    free(lp);
    free(nodes);
    free(is);
}

static void test_plain_nodes(void **state)
{
    struct decoded d;
    uint8_t *lp = listpack_new();
    assert_true(listpack_append(&lp, pairs[0]));
    struct slice packed = slice_from(lp, listpack_bytes(lp));
    struct bytes b = COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(2), COUNT(RDB_CONTAINER_PLAIN), pairs[1],
                             COUNT(RDB_CONTAINER_PACKED), packed);
    decode_all_ways(&d, slice_from(b.data, b.len));
    assert_list(&d.value, (struct slice[]){pairs[1], pairs[0]}, 2);
    decoded_free(&d);
    free(b.data);
    assert_invalid(
        COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(1), COUNT(RDB_CONTAINER_PLAIN), LITERAL("")));
    assert_invalid(COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(1), COUNT(3), pairs[1]));
    assert_invalid(COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(1), COUNT(RDB_CONTAINER_PACKED), pairs[1]));
    free(lp);
}

/* ---- what contradicts itself ---- */

static void test_counts_that_lie(void **state)
{
    assert_invalid(COMPOSE(RDB_LIST, COUNT(0)));
    assert_invalid(COMPOSE(RDB_SET, COUNT(0)));
    assert_invalid(COMPOSE(RDB_HASH, COUNT(0)));
    assert_invalid(COMPOSE(RDB_LIST_QUICKLIST_2, COUNT(0)));
    assert_invalid(COMPOSE(RDB_LIST, COUNT(2), pairs[0]));
    assert_invalid(COMPOSE(RDB_HASH, COUNT(1), pairs[0]));
    assert_invalid(COMPOSE(RDB_HASH, COUNT((size_t)1 << 60), pairs[0], pairs[1]));
    assert_invalid(COMPOSE(RDB_SET, COUNT((size_t)1 << 60), pairs[0], pairs[1]));
    assert_invalid(COMPOSE(RDB_LIST, COUNT(1), pairs[0], pairs[1])); /* something behind it */
}

static void test_duplicates(void **state)
{
    uint8_t *lp = listpack_new();
    for (int i = 0; i < 4; i++)
        assert_true(listpack_append(&lp, pairs[i % 2]));
    assert_invalid(COMPOSE(RDB_HASH_LISTPACK, slice_from(lp, listpack_bytes(lp))));
    listpack_delete(&lp, listpack_last(lp), 1);
    assert_invalid(COMPOSE(RDB_HASH_LISTPACK, slice_from(lp, listpack_bytes(lp))));
    free(lp);
    assert_invalid(COMPOSE(RDB_SET, COUNT(2), pairs[0], pairs[0]));
    assert_invalid(COMPOSE(RDB_SET, COUNT(2), pairs[2], pairs[2]));
    assert_invalid(COMPOSE(RDB_HASH, COUNT(2), pairs[0], pairs[1], pairs[0], pairs[1]));
}

static void test_intsets_that_lie(void **state)
{
    static const struct slice blobs[] = {
        CONSTANT("\2\0\0\0\0\0\0\0"),                 /* empty */
        CONSTANT("\3\0\0\0\1\0\0\0\1\0\0"),           /* width 3 */
        CONSTANT("\2\0\0\0\2\0\0\0\1\0"),             /* two announced */
        CONSTANT("\2\0\0\0\2\0\0\0\2\0\1\0"),         /* not ascending */
        CONSTANT("\2\0\0\0\2\0\0\0\1\0\1\0"),         /* twice the same */
        CONSTANT("\2\0\0\0\xff\xff\xff\xff\1\0\2\0"), /* 8 GB */
        CONSTANT("\2\0\0\0"),
    };
    for (unsigned i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++)
        assert_invalid(COMPOSE(RDB_SET_INTSET, blobs[i]));
}

static void test_types_that_are_not_there(void **state)
{
    static const uint8_t unsupported[] = {3, 5, 6, 7, 12, 15, 17, 19, 21};
    static const uint8_t unknown[] = {8, 22, 25, 100, 245, 246, 247, 250, 255};
    struct decoded d;
    for (unsigned i = 0; i < sizeof(unsupported); i++) {
        assert_int_equal(decode(&d, slice_from((uint8_t[]){unsupported[i], 1, 1, 1}, 4), 0, 100),
                         RDB_UNSUPPORTED);
        assert_true(strlen(rdb_decoder_what(&d.decoder)) > 5);
        decoded_free(&d);
    }
    for (unsigned i = 0; i < sizeof(unknown); i++) {
        assert_int_equal(decode(&d, slice_from((uint8_t[]){unknown[i], 1, 1, 1}, 4), 0, 100),
                         RDB_INVALID);
        decoded_free(&d);
    }
}

/* Who adds a type adds its encodings: DUMP, MIGRATE and full syncs take whatever is there. */
static void test_every_type_has_encodings(void **state)
{
    static const bool known[OBJ_TYPES] = {[OBJ_LIST] = true, [OBJ_SET] = true, [OBJ_HASH] = true};
    for (unsigned type = 0; type < OBJ_TYPES; type++)
        assert_true(known[type] || !object_ops[type]);
}

/* ---- every damage ---- */

/* Cut at every byte and with every bit flipped: an error or a sound value, whatever the windows. */
static void damage(struct bytes b)
{
    struct decoded d;
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *cut = malloc(len + 1); /* of its own, for the sanitizer */
        memcpy(cut, b.data, len);
        if (len > 0) {
            assert_int_equal(decode(&d, slice_from(cut, len), 0, 1000), RDB_INVALID);
            decoded_free(&d);
        }
        free(cut);
    }
    uint8_t *copy = malloc(b.len);
    for (size_t bit = 8; bit < 8 * b.len; bit++) {
        memcpy(copy, b.data, b.len);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum rdb_result result = decode(&d, slice_from(copy, b.len), bit % 3 ? 0 : 11, 200);
        assert_true(result == RDB_INVALID || result == RDB_DONE);
        if (result == RDB_DONE)
            validate(&d.value);
        decoded_free(&d);
    }
    free(copy);
    free(b.data);
}

static void test_every_damage_is_survived(void **state)
{
    static struct old_form f;
    struct set *s = set_new(), *numbers = set_new();
    struct hash *h = hash_new(), *table = hash_new();
    struct list *l = list_new();
    assert_true(hash_convert(table));
    for (size_t i = 0; i < PAIR_STRINGS; i += 2) {
        set_add(s, pairs[i], &limits);
        set_add(numbers, slice_from("123456" + i % 6, 6 - i % 6), &limits);
        hash_set(h, pairs[i], pairs[i + 1], &limits);
        hash_set(table, pairs[i], pairs[i + 1], &limits);
        assert_true(quicklist_push(&l->elements, pairs[i], false, 2));
    }
    const struct rdb_value values[] = {
        {.type = OBJ_SET, .object = s},
        {.type = OBJ_SET, .object = numbers},
        {.type = OBJ_HASH, .object = h},
        {.type = OBJ_HASH, .object = table},
        {.type = OBJ_LIST, .object = l},
        {.type = OBJ_STRING, .text = LITERAL("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcabcabcabcabcabc")},
    };
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        for (unsigned compress = 0; compress < 2; compress++)
            damage(encode(&values[i], compress, 1000));
    ziplist_of_pairs(&f);
    damage(COMPOSE(RDB_HASH_ZIPLIST, old_slice(&f)));
    damage(COMPOSE(RDB_LIST_ZIPLIST, old_slice(&f)));
    damage(COMPOSE(RDB_LIST_QUICKLIST, COUNT(2), old_slice(&f), old_slice(&f)));
    zipmap_begin(&f);
    for (size_t i = 0; i < PAIR_STRINGS; i += 2)
        zipmap_add(&f, pairs[i], pairs[i + 1], 1);
    zipmap_finish(&f);
    damage(COMPOSE(RDB_HASH_ZIPMAP, old_slice(&f)));
    set_free(s);
    set_free(numbers);
    hash_free(h);
    hash_free(table);
    list_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_random_aggregates),
        cmocka_unit_test(test_large_aggregates),
        cmocka_unit_test(test_large_elements_are_listpacks_of_one),
        cmocka_unit_test(test_plain_list_set_and_hash),
        cmocka_unit_test(test_ziplists),
        cmocka_unit_test(test_quicklists_of_ziplists),
        cmocka_unit_test(test_zipmaps),
        cmocka_unit_test(test_sets_as_listpacks),
        cmocka_unit_test(test_large_compact_forms_become_tables),
        cmocka_unit_test(test_plain_nodes),
        cmocka_unit_test(test_counts_that_lie),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_intsets_that_lie),
        cmocka_unit_test(test_types_that_are_not_there),
        cmocka_unit_test(test_every_type_has_encodings),
        cmocka_unit_test(test_every_damage_is_survived),
    };
    return cmocka_run_group_tests_name("rdb_value", tests, NULL, NULL);
}
