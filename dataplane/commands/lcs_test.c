#include "lcs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rng.h"

static uint8_t *copy_of(const char *text, uint32_t len)
{
    uint8_t *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void run(struct lcs *l, const char *a, const char *b, bool len_only, uint32_t budget)
{
    *l = (struct lcs){.a_len = (uint32_t)strlen(a), .b_len = (uint32_t)strlen(b)};
    l->a = copy_of(a, l->a_len);
    l->b = copy_of(b, l->b_len);
    assert_true(lcs_init(l, len_only));
    enum lcs_result result;
    while ((result = lcs_step(l, budget)) == LCS_MORE)
        continue;
    assert_int_equal(result, LCS_DONE);
}

static void expect_match(const struct lcs *l, uint32_t i, struct lcs_match want)
{
    assert_true(i < l->match_count);
    assert_int_equal(l->match[i].a_start, want.a_start);
    assert_int_equal(l->match[i].b_start, want.b_start);
    assert_int_equal(l->match[i].len, want.len);
}

/* The example of Redis' documentation; a real server 7.0.15 gave these ranges. */
static void test_matches_are_those_of_redis(void **state)
{
    struct lcs l;
    run(&l, "ohmytext", "mynewtext", false, 1000);
    assert_int_equal(lcs_len(&l), 6);
    assert_int_equal(l.match_count, 2);
    expect_match(&l, 0, (struct lcs_match){4, 5, 4});
    expect_match(&l, 1, (struct lcs_match){2, 0, 2});
    lcs_fini(&l);
}

static void test_empty_strings_have_nothing_in_common(void **state)
{
    static const char *const pairs[][2] = {{"", ""}, {"", "abc"}, {"abc", ""}, {"abc", "xyz"}};
    for (unsigned i = 0; i < 4; i++) {
        struct lcs l;
        run(&l, pairs[i][0], pairs[i][1], false, 1);
        assert_int_equal(lcs_len(&l), 0);
        assert_int_equal(l.match_count, 0);
        lcs_fini(&l);
    }
}

static void random_text(struct rng *rng, char *text, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        text[i] = (char)('a' + rng_below(rng, 3));
    text[len] = '\0';
}

/* By definition, from the back: exponential, so for short strings only. */
static uint32_t slow_len(const char *a, const char *b)
{
    if (!*a || !*b)
        return 0;
    if (*a == *b)
        return 1 + slow_len(a + 1, b + 1);
    uint32_t x = slow_len(a + 1, b), y = slow_len(a, b + 1);
    return x > y ? x : y;
}

static void expect_common(const struct lcs *l)
{
    uint32_t total = 0, a_end = l->a_len, b_end = l->b_len;
    for (uint32_t i = 0; i < l->match_count; i++) {
        const struct lcs_match *m = &l->match[i];
        assert_true(m->len > 0 && m->a_start + m->len <= a_end && m->b_start + m->len <= b_end);
        assert_memory_equal(l->a + m->a_start, l->b + m->b_start, m->len);
        a_end = m->a_start;
        b_end = m->b_start;
        total += m->len;
    }
    assert_int_equal(total, lcs_len(l));
}

static void test_any_budget_gives_the_longest(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 300; round++) {
        char a[11], b[11];
        random_text(&rng, a, (uint32_t)rng_below(&rng, 11));
        random_text(&rng, b, (uint32_t)rng_below(&rng, 11));
        struct lcs whole, len_only;
        run(&whole, a, b, false, 1 + (uint32_t)rng_below(&rng, 20));
        run(&len_only, a, b, true, 1 + (uint32_t)rng_below(&rng, 20));
        assert_int_equal(lcs_len(&whole), slow_len(a, b));
        assert_int_equal(lcs_len(&len_only), lcs_len(&whole));
        expect_common(&whole);
        lcs_fini(&whole);
        lcs_fini(&len_only);
    }
}

static void test_missing_memory_is_reported(void **state)
{
    struct lcs l = {.a_len = 3, .b_len = 3};
    l.b = copy_of("abc", 3);
    assert_false(lcs_init(&l, false));
    lcs_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_are_those_of_redis),
        cmocka_unit_test(test_empty_strings_have_nothing_in_common),
        cmocka_unit_test(test_any_budget_gives_the_longest),
        cmocka_unit_test(test_missing_memory_is_reported),
    };
    return cmocka_run_group_tests_name("lcs", tests, NULL, NULL);
}
