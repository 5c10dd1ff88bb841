#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "check.h"
#include "intset.h"
#include "keyhash.h"
#include "set.h"
#include "test_values.h"

static const struct type_limits limits = {.set_intset_entries = 16};

static struct slice number(char text[NUMBER_TEXT_SIZE], int64_t n)
{
    return slice_from(text, format_i64(text, n));
}

static struct set *set_of_numbers(unsigned count)
{
    char text[NUMBER_TEXT_SIZE];
    struct set *s = set_new();
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(set_add(s, number(text, i), &limits), SET_ADDED);
    return s;
}

/* Redis' thresholds, and no way back. */
static void test_encoding_changes_at_the_limits(void **state)
{
    struct set *s = set_of_numbers(16);
    assert_int_equal(set_encoding(s), ENC_INTSET);
    assert_int_equal(set_add(s, slice_str("3"), &limits), SET_PRESENT);
    assert_int_equal(set_encoding(s), ENC_INTSET);
    assert_int_equal(set_add(s, slice_str("16"), &limits), SET_ADDED);
    assert_int_equal(set_encoding(s), ENC_HASHTABLE);
    assert_true(set_remove(s, slice_str("16")));
    assert_int_equal(set_encoding(s), ENC_HASHTABLE);
    set_free(s);
    /* Not canonical, so not an integer. */
    static const char *const texts[] = {"x", "", "01", "-0", "1.0", "9223372036854775808"};
    for (size_t i = 0; i < count_of(texts); i++) {
        s = set_of_numbers(3);
        assert_false(set_contains(s, slice_str(texts[i])));
        assert_int_equal(set_add(s, slice_str(texts[i]), &limits), SET_ADDED);
        assert_int_equal(set_encoding(s), ENC_HASHTABLE);
        assert_true(set_contains(s, slice_str(texts[i])));
        assert_true(set_contains(s, slice_str("2")));
        set_free(s);
    }
}

#define MEMBERS 40

static struct slice member_n(char text[NUMBER_TEXT_SIZE], unsigned n, unsigned strings_from)
{
    text[0] = 'm';
    if (n >= strings_from)
        return slice_from(text, 1 + format_i64(text + 1, n));
    return number(text, n);
}

static void assert_model(const bool *present, size_t count, unsigned strings_from,
                         const struct set *s)
{
    char text[NUMBER_TEXT_SIZE];
    struct set_iter it;
    struct slice member;
    size_t met = 0;
    set_validate(s);
    assert_int_equal(set_count(s), count);
    for (unsigned n = 0; n < MEMBERS; n++)
        assert_int_equal(set_contains(s, member_n(text, n, strings_from)), present[n]);
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member)) {
        assert_true(set_contains(s, member));
        met++;
    }
    assert_int_equal(met, count);
}

static void test_random_changes_against_a_model(void **state)
{
    struct rng rng;
    rng_seed(&rng, 60);
    for (unsigned round = 0; round < 30; round++) {
        bool present[MEMBERS] = {false};
        size_t count = 0;
        unsigned strings_from = round % 3 == 0 ? 14 : MEMBERS;
        unsigned range = round % 3 == 2 ? 16 : MEMBERS;
        struct set *s = set_new();
        for (unsigned i = 0; i < 150; i++) {
            char text[NUMBER_TEXT_SIZE];
            unsigned n = (unsigned)rng_below(&rng, range);
            struct slice member = member_n(text, n, strings_from);
            bool add = rng_below(&rng, 3);
            if (add)
                assert_int_equal(set_add(s, member, &limits), present[n] ? SET_PRESENT : SET_ADDED);
            else
                assert_int_equal(set_remove(s, member), present[n]);
            count += (size_t)add - present[n];
            present[n] = add;
            assert_model(present, count, strings_from, s);
        }
        struct set *copy = set_copy(s, NULL);
        assert_int_equal(set_encoding(copy), set_encoding(s));
        set_free(s);
        assert_model(present, count, strings_from, copy);
        set_free(copy);
    }
}

static void test_random_member_is_fair_in_an_intset(void **state)
{
    struct rng rng;
    rng_seed(&rng, 61);
    struct set *s = set_of_numbers(10);
    unsigned drawn[10] = {0};
    for (unsigned i = 0; i < 10000; i++) {
        char text[NUMBER_TEXT_SIZE];
        int64_t n;
        assert_true(parse_i64(set_random(s, &rng, text), &n));
        drawn[n]++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(drawn[i], 850, 1150);
    set_free(s);
}

static void test_takes_a_validated_intset_over(void **state)
{
    uint8_t *is = intset_new();
    assert_int_equal(intset_add(&is, 7), INTSET_CHANGED);
    struct set *s = set_from_intset(is);
    assert_true(set_contains(s, slice_str("7")));
    set_free(s);
}

int main(void)
{
    key_hash_seed_set(44);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoding_changes_at_the_limits),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_random_member_is_fair_in_an_intset),
        cmocka_unit_test(test_takes_a_validated_intset_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
