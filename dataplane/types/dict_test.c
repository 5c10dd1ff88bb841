#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "dict.h"
#include "keyhash.h"
#include "mem.h"

static struct slice key_n(char text[32], unsigned n)
{
    return slice_from(text, (size_t)snprintf(text, 32, "key:%u", n));
}

static unsigned key_number(struct slice key)
{
    char text[32] = {0};
    memcpy(text, key.data, key.len);
    return (unsigned)strtoul(text + 4, NULL, 10);
}

static struct dict *dict_of(unsigned count)
{
    struct dict *d = dict_new(true);
    char text[32];
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(dict_put(d, key_n(text, i), slice_str("v")), DICT_ADDED);
    return d;
}

#define KEYS 3000

/* Grows and shrinks over and over; the model is the value's length per key, -1: absent. */
static void test_random_changes_against_a_model(void **state)
{
    static int lengths[KEYS];
    static uint8_t bytes[300];
    memset(lengths, -1, sizeof(lengths));
    memset(bytes, 'b', sizeof(bytes));
    struct rng rng;
    rng_seed(&rng, 5);
    struct dict *d = dict_new(true);
    size_t count = 0;
    for (unsigned i = 0; i < 60000; i++) {
        char text[32];
        unsigned n = (unsigned)rng_below(&rng, KEYS);
        struct slice key = key_n(text, n);
        bool grow = i / 10000 % 2 == 0;
        if (rng_below(&rng, 10) < (grow ? 8 : 2)) {
            int len = (int)rng_below(&rng, sizeof(bytes));
            enum dict_result expected = lengths[n] < 0 ? DICT_ADDED : DICT_UPDATED;
            assert_int_equal(dict_put(d, key, slice_from(bytes, (size_t)len)), expected);
            count += lengths[n] < 0;
            lengths[n] = len;
        } else {
            assert_int_equal(dict_delete(d, key), lengths[n] >= 0);
            count -= lengths[n] >= 0;
            lengths[n] = -1;
        }
        struct dict_item item;
        assert_int_equal(dict_find(d, key, &item), lengths[n] >= 0);
        if (lengths[n] >= 0)
            assert_int_equal(item.value.len, lengths[n]);
        assert_int_equal(dict_count(d), count);
        if (i % 500 == 0)
            dict_validate(d);
    }
    dict_free(d);
}

static void test_iteration_meets_every_element_once(void **state)
{
    static bool seen[KEYS];
    memset(seen, 0, sizeof(seen));
    struct dict *d = dict_of(KEYS);
    struct dict_iter it;
    struct dict_item item;
    unsigned met = 0;
    dict_iter_init(&it, d);
    while (dict_iter_next(&it, &item)) {
        unsigned n = key_number(item.key);
        assert_false(seen[n]);
        seen[n] = true;
        met++;
    }
    assert_int_equal(met, KEYS);
    assert_false(dict_iter_next(&it, &item));
    dict_free(d);
}

static void mark_seen(void *arg, const struct dict_item *item)
{
    ((bool *)arg)[key_number(item->key)] = true;
}

/* Elements that stay are met, while others come and go so that the table grows and shrinks. */
static void test_scan_keeps_its_promise_through_resizes(void **state)
{
    enum { STAY = 500, ALL = 8000 };
    static bool seen[ALL];
    struct rng rng;
    rng_seed(&rng, 6);
    for (unsigned round = 0; round < 60; round++) {
        char text[32];
        unsigned top = round % 2 ? ALL : STAY;
        struct dict *d = dict_of(top);
        memset(seen, 0, sizeof(seen));
        uint64_t cursor = 0;
        do {
            cursor = dict_scan(d, cursor, mark_seen, seen);
            for (uint64_t i = rng_below(&rng, 60); i > 0; i--) {
                if (round % 2 && top > STAY)
                    assert_true(dict_delete(d, key_n(text, --top)));
                else if (round % 2 == 0 && top < ALL)
                    assert_int_equal(dict_put(d, key_n(text, top++), slice_str("v")), DICT_ADDED);
            }
        } while (cursor != 0);
        for (unsigned i = 0; i < STAY; i++)
            assert_true(seen[i]);
        dict_validate(d);
        dict_free(d);
    }
}

static void count_items(void *arg, const struct dict_item *item)
{
    ++*(unsigned *)arg;
}

static void test_scan_of_a_still_table_meets_each_once(void **state)
{
    for (unsigned count = 0; count < 200; count++) {
        struct dict *d = dict_of(count);
        unsigned met = 0;
        uint64_t cursor = 0;
        do
            cursor = dict_scan(d, cursor, count_items, &met);
        while (cursor != 0);
        assert_int_equal(met, count);
        dict_free(d);
    }
}

/* A cursor that a client made up: any value is met with an answer and an end. */
static void test_scan_takes_any_cursor(void **state)
{
    struct dict *d = dict_of(100);
    struct rng rng;
    rng_seed(&rng, 8);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned met = 0, calls = 0;
        uint64_t cursor = rng_next(&rng);
        do
            cursor = dict_scan(d, cursor, count_items, &met);
        while (cursor != 0 && ++calls < 1000);
        assert_int_equal(cursor, 0);
    }
    dict_free(d);
}

/* Chi-square over 1,000 elements with 200,000 draws: 999 degrees of freedom, so 1,250 is more than
 * five standard deviations out; the generator is seeded. */
static void assert_fair(const struct dict *d)
{
    enum { ELEMENTS = 1000, DRAWS = 200000 };
    static unsigned drawn[ELEMENTS];
    memset(drawn, 0, sizeof(drawn));
    struct rng rng;
    rng_seed(&rng, 7);
    assert_int_equal(dict_count(d), ELEMENTS);
    for (unsigned i = 0; i < DRAWS; i++)
        drawn[key_number(dict_random(d, &rng).key)]++;
    double expected = (double)DRAWS / ELEMENTS, chi_square = 0;
    for (unsigned i = 0; i < ELEMENTS; i++)
        chi_square += (drawn[i] - expected) * (drawn[i] - expected) / expected;
    assert_true(chi_square < 1250);
}

static void test_random_is_fair(void **state)
{
    struct dict *d = dict_of(1000);
    assert_fair(d);
    dict_free(d);
    /* After the table has shrunk, and between two of its doublings. */
    d = dict_of(5000);
    for (unsigned i = 1000; i < 5000; i++) {
        char text[32];
        assert_true(dict_delete(d, key_n(text, i)));
    }
    assert_fair(d);
    dict_free(d);
}

static void test_freeing_goes_in_bounded_pieces(void **state)
{
    struct dict *d = dict_of(1000);
    unsigned calls = 1;
    while (!dict_free_some(d, 10))
        calls++;
    assert_in_range(calls, 100, 200);
    d = dict_new(false);
    assert_true(dict_free_some(d, 1));
}

static void test_memory_returns_to_its_baseline(void **state)
{
    struct dict *d = dict_new(true);
    char text[32];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < KEYS; i++)
            dict_put(d, key_n(text, i), slice_str("value"));
        assert_true(dict_mem_bytes(d) > KEYS * 16);
        for (unsigned i = 0; i < KEYS; i++)
            assert_true(dict_delete(d, key_n(text, i)));
        assert_true(dict_mem_bytes(d) < 300);
        dict_validate(d);
    }
    dict_free(d);
}

static void test_mem_class_follows_the_allocator(void **state)
{
    static const size_t rows[][2] = {
        {0, 8},     {1, 8},     {8, 8},       {9, 16},      {16, 16},     {17, 32},
        {48, 48},   {49, 64},   {128, 128},   {129, 160},   {160, 160},   {161, 192},
        {256, 256}, {257, 320}, {1025, 1280}, {4096, 4096}, {4097, 5120}, {16385, 20480}};
    for (size_t i = 0; i < count_of(rows); i++)
        assert_int_equal(mem_class_bytes(rows[i][0]), rows[i][1]);
}

int main(void)
{
    key_hash_seed_set(42);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_iteration_meets_every_element_once),
        cmocka_unit_test(test_scan_keeps_its_promise_through_resizes),
        cmocka_unit_test(test_scan_of_a_still_table_meets_each_once),
        cmocka_unit_test(test_scan_takes_any_cursor),
        cmocka_unit_test(test_random_is_fair),
        cmocka_unit_test(test_freeing_goes_in_bounded_pieces),
        cmocka_unit_test(test_memory_returns_to_its_baseline),
        cmocka_unit_test(test_mem_class_follows_the_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
