#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "check.h"
#include "hash.h"
#include "keyhash.h"
#include "listpack.h"
#include "test_values.h"

static const struct type_limits limits = {.hash_listpack_entries = 8,
                                          .hash_listpack_value_bytes = 16};

static struct slice field_n(char text[16], unsigned n)
{
    return slice_from(text, (size_t)snprintf(text, 16, "f%u", n));
}

static void assert_value(const struct hash *h, struct slice field, struct slice expected)
{
    char text[NUMBER_TEXT_SIZE];
    struct slice value;
    assert_true(hash_get(h, field, &value, text));
    assert_true(slice_equal(value, expected));
}

/* Redis' thresholds: one more field, or one byte more, and no way back. */
static void test_encoding_changes_at_the_limits(void **state)
{
    char text[16];
    struct hash *h = hash_new();
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(hash_set(h, field_n(text, i), slice_str("1234567890123456"), &limits),
                         HASH_ADDED);
    assert_int_equal(hash_encoding(h), ENC_LISTPACK);
    assert_int_equal(hash_set(h, slice_str("f3"), slice_str("x"), &limits), HASH_UPDATED);
    assert_int_equal(hash_encoding(h), ENC_LISTPACK);
    assert_int_equal(hash_set(h, slice_str("f8"), slice_str("x"), &limits), HASH_ADDED);
    assert_int_equal(hash_encoding(h), ENC_HASHTABLE);
    for (unsigned i = 1; i < 9; i++)
        assert_true(hash_delete(h, field_n(text, i)));
    assert_int_equal(hash_encoding(h), ENC_HASHTABLE);
    assert_value(h, slice_str("f0"), slice_str("1234567890123456"));
    hash_free(h);

    h = hash_new();
    assert_int_equal(hash_set(h, slice_str("f"), slice_str("12345678901234567"), &limits),
                     HASH_ADDED);
    assert_int_equal(hash_encoding(h), ENC_HASHTABLE);
    hash_free(h);
    h = hash_new();
    assert_int_equal(hash_set(h, slice_str("12345678901234567"), slice_str("v"), &limits),
                     HASH_ADDED);
    assert_int_equal(hash_encoding(h), ENC_HASHTABLE);
    hash_free(h);
}

#define FIELDS 40

struct model {
    struct test_value values[FIELDS];
    bool present[FIELDS];
    size_t count;
};

static void assert_model(const struct model *m, const struct hash *h)
{
    char text[16], value_text[NUMBER_TEXT_SIZE];
    bool seen[FIELDS] = {false};
    struct hash_iter it;
    struct hash_item item;
    size_t met = 0;
    hash_validate(h);
    assert_int_equal(hash_count(h), m->count);
    hash_iter_init(&it, h);
    while (hash_iter_next(&it, &item)) {
        char number[16] = {0};
        memcpy(number, item.field.data + 1, item.field.len - 1);
        unsigned n = (unsigned)atoi(number);
        assert_false(seen[n]);
        seen[n] = true;
        met++;
        assert_true(slice_equal(item.value, test_slice(&m->values[n])));
    }
    assert_int_equal(met, m->count);
    for (unsigned n = 0; n < FIELDS; n++) {
        struct slice value;
        assert_int_equal(hash_get(h, field_n(text, n), &value, value_text), m->present[n]);
    }
}

static void test_random_changes_against_a_model(void **state)
{
    static struct model m;
    struct rng rng;
    rng_seed(&rng, 50);
    for (unsigned round = 0; round < 30; round++) {
        struct hash *h = hash_new();
        memset(&m, 0, sizeof(m));
        for (unsigned i = 0; i < 150; i++) {
            char text[16];
            unsigned n = (unsigned)rng_below(&rng, round % 2 ? 8 : FIELDS);
            if (rng_below(&rng, 3)) {
                test_value_random(&m.values[n], &rng, round % 4 == 1 ? 16 : 40);
                assert_int_equal(hash_set(h, field_n(text, n), test_slice(&m.values[n]), &limits),
                                 m.present[n] ? HASH_UPDATED : HASH_ADDED);
                m.count += !m.present[n];
                m.present[n] = true;
            } else {
                assert_int_equal(hash_delete(h, field_n(text, n)), m.present[n]);
                m.count -= m.present[n];
                m.present[n] = false;
            }
            assert_model(&m, h);
        }
        struct hash *copy = hash_copy(h, NULL);
        assert_int_equal(hash_encoding(copy), hash_encoding(h));
        hash_free(h);
        assert_model(&m, copy);
        hash_free(copy);
    }
}

static void test_random_field_is_fair_in_a_listpack(void **state)
{
    struct rng rng;
    rng_seed(&rng, 51);
    struct hash *h = hash_new();
    char text[16];
    unsigned drawn[8] = {0};
    for (unsigned i = 0; i < 8; i++)
        hash_set(h, field_n(text, i), slice_str("v"), &limits);
    for (unsigned i = 0; i < 8000; i++) {
        struct hash_item item;
        hash_random(h, &rng, &item);
        assert_true(slice_equal(item.value, slice_str("v")));
        drawn[item.field.data[1] - '0']++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(drawn[i], 850, 1150);
    hash_free(h);
}

static uint8_t *pairs_of(const char *const *texts)
{
    uint8_t *lp = listpack_new();
    for (; *texts; texts++)
        assert_true(listpack_append(&lp, slice_str(*texts)));
    return lp;
}

static bool pairs_valid(const char *const *texts)
{
    uint8_t *lp = pairs_of(texts);
    bool valid = hash_listpack_validate(slice_from(lp, listpack_bytes(lp)));
    free(lp);
    return valid;
}

static void test_foreign_listpacks_are_checked(void **state)
{
    assert_true(pairs_valid((const char *const[]){"a", "1", "b", "2", NULL}));
    assert_true(pairs_valid((const char *const[]){"a", "a", "b", "a", NULL}));
    assert_false(pairs_valid((const char *const[]){"a", "1", "b", NULL}));
    assert_false(pairs_valid((const char *const[]){"a", "1", "a", "2", NULL}));
    assert_false(pairs_valid((const char *const[]){NULL}));
}

int main(void)
{
    key_hash_seed_set(43);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoding_changes_at_the_limits),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_random_field_is_fair_in_a_listpack),
        cmocka_unit_test(test_foreign_listpacks_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
