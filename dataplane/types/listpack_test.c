#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "listpack.h"
#include "check.h"
#include "test_values.h"

static void assert_element(const uint8_t *p, const char *text)
{
    char buf[NUMBER_TEXT_SIZE];
    assert_non_null(p);
    assert_true(slice_equal(listpack_get(p, buf), slice_str(text)));
}

static uint8_t *listpack_of(const char *const *texts)
{
    uint8_t *lp = listpack_new();
    for (; *texts; texts++)
        assert_true(listpack_append(&lp, slice_str(*texts)));
    return lp;
}

/* Each width of integers and strings, with the bytes that the format demands. */
static void test_entries_have_the_bytes_of_the_format(void **state)
{
    static const struct {
        const char *text;
        const char *bytes;
        size_t len;
    } rows[] = {
        {"0", "\x00\x01", 2},
        {"127", "\x7f\x01", 2},
        {"128", "\xc0\x80\x02", 3},
        {"-1", "\xdf\xff\x02", 3},
        {"4095", "\xcf\xff\x02", 3},
        {"-4096", "\xd0\x00\x02", 3},
        {"4096", "\xf1\x00\x10\x03", 4},
        {"-32768", "\xf1\x00\x80\x03", 4},
        {"32768", "\xf2\x00\x80\x00\x04", 5},
        {"-8388608", "\xf2\x00\x00\x80\x04", 5},
        {"8388608", "\xf3\x00\x00\x80\x00\x05", 6},
        {"-2147483648", "\xf3\x00\x00\x00\x80\x05", 6},
        {"2147483648", "\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09", 10},
        {"-9223372036854775808", "\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09", 10},
        {"9223372036854775808",
         "\x93"
         "9223372036854775808\x14",
         21},
        {"-0", "\x82-0\x03", 4},
        {"01",
         "\x82"
         "01\x03",
         4},
        {"", "\x80\x01", 2},
        {"abc",
         "\x83"
         "abc\x04",
         5},
    };
    for (size_t i = 0; i < count_of(rows); i++) {
        uint8_t *lp = listpack_new();
        assert_true(listpack_append(&lp, slice_str(rows[i].text)));
        assert_int_equal(listpack_bytes(lp), 7 + rows[i].len);
        assert_memory_equal(lp + 6, rows[i].bytes, rows[i].len);
        assert_element(listpack_first(lp), rows[i].text);
        free(lp);
    }
}

/* The lengths where header or back-length grow; 16383 and so on are one early, as Redis has it. */
static void test_string_lengths_around_each_limit(void **state)
{
    static const struct {
        size_t len, entry;
    } rows[] = {
        {63, 65},
        {64, 64 + 2 + 1},
        {125, 128},
        {126, 126 + 2 + 2},
        {4095, 4095 + 4},
        {4096, 4096 + 5 + 2},
        {16377, 16377 + 7},
        {16378, 16378 + 8},
        {2097145, 2097145 + 8},
        {2097146, 2097146 + 9},
    };
    for (size_t i = 0; i < count_of(rows); i++) {
        uint8_t *text = malloc(rows[i].len);
        memset(text, 'x', rows[i].len);
        uint8_t *lp = listpack_of((const char *const[]){"before", NULL});
        size_t bytes = listpack_bytes(lp);
        struct slice value = slice_from(text, rows[i].len);
        assert_true(listpack_append(&lp, value));
        assert_true(listpack_append(&lp, slice_str("after")));
        assert_int_equal(listpack_bytes(lp), bytes + rows[i].entry + 7);
        assert_int_equal(listpack_entry_bytes(value), rows[i].entry);
        char buf[NUMBER_TEXT_SIZE];
        const uint8_t *p = listpack_prev(lp, listpack_last(lp));
        assert_true(slice_equal(listpack_get(p, buf), value));
        assert_element(listpack_prev(lp, p), "before");
        assert_true(listpack_validate(slice_from(lp, listpack_bytes(lp)), NULL));
        free(lp);
        free(text);
    }
}

static void test_find_tells_numbers_from_text(void **state)
{
    uint8_t *lp = listpack_of((const char *const[]){"5", "a", "05", "b", "6", "5", NULL});
    struct listpack_needle five = listpack_needle(slice_str("5"));
    struct listpack_needle zero_five = listpack_needle(slice_str("05"));
    assert_ptr_equal(listpack_find(listpack_first(lp), &five, 1), listpack_first(lp));
    assert_ptr_equal(listpack_find(listpack_first(lp), &zero_five, 1), listpack_seek(lp, 2));
    /* Only fields are compared: the 5 at the end is a value. */
    assert_null(listpack_find(listpack_seek(lp, 2), &five, 1));
    assert_ptr_equal(listpack_find(listpack_seek(lp, 2), &five, 0), listpack_last(lp));
    free(lp);
}

/* 65535 elements and more are not counted in the header. */
static void test_count_beyond_the_header(void **state)
{
    uint8_t *lp = listpack_new();
    for (unsigned i = 0; i < 65534; i++)
        assert_true(listpack_append(&lp, slice_str("1")));
    assert_int_equal(lp[4] | lp[5] << 8, 65534);
    assert_true(listpack_append(&lp, slice_str("2")));
    assert_true(listpack_append(&lp, slice_str("3")));
    assert_int_equal(lp[4] | lp[5] << 8, 65535);
    assert_int_equal(listpack_count(lp), 65536);
    assert_element(listpack_seek(lp, -1), "3");
    assert_element(listpack_seek(lp, 65534), "2");
    assert_null(listpack_seek(lp, 65536));
    assert_null(listpack_seek(lp, -65537));
    assert_true(listpack_validate(slice_from(lp, listpack_bytes(lp)), NULL));
    free(lp);
}

#define MODEL_MAX 64
struct model {
    struct test_value *values;
    size_t count;
};

static void model_insert(struct model *m, size_t at, const struct test_value *v)
{
    memmove(&m->values[at + 1], &m->values[at], (m->count - at) * sizeof(*v));
    m->values[at] = *v;
    m->count++;
}

static void model_delete(struct model *m, size_t at, size_t n)
{
    memmove(&m->values[at], &m->values[at + n], (m->count - at - n) * sizeof(*m->values));
    m->count -= n;
}

static void assert_model(const struct model *m, const uint8_t *lp)
{
    char buf[NUMBER_TEXT_SIZE];
    size_t count;
    assert_true(listpack_validate(slice_from(lp, listpack_bytes(lp)), &count));
    assert_int_equal(count, m->count);
    assert_int_equal(listpack_count(lp), m->count);
    const uint8_t *p = listpack_first(lp);
    for (size_t i = 0; i < m->count; i++, p = listpack_next(p)) {
        assert_true(slice_equal(listpack_get(p, buf), test_slice(&m->values[i])));
        assert_ptr_equal(listpack_seek(lp, (int64_t)i), p);
        assert_ptr_equal(listpack_seek(lp, (int64_t)i - (int64_t)m->count), p);
    }
    assert_null(p);
    p = listpack_last(lp);
    for (size_t i = m->count; i-- > 0; p = listpack_prev(lp, p))
        assert_true(slice_equal(listpack_get(p, buf), test_slice(&m->values[i])));
    assert_null(p);
}

static void model_step(struct model *m, uint8_t **lp, struct rng *rng)
{
    static struct test_value v;
    size_t at = m->count ? rng_below(rng, m->count) : 0;
    uint64_t op = m->count == 0 ? 0 : m->count >= MODEL_MAX - 1 ? 3 : rng_below(rng, 4);
    test_value_random(&v, rng, rng_below(rng, 20) ? 90 : 5000);
    if (op == 0) {
        assert_true(listpack_append(lp, test_slice(&v)));
        model_insert(m, m->count, &v);
    } else if (op == 1) {
        assert_true(listpack_insert(lp, listpack_seek(*lp, (int64_t)at), test_slice(&v)));
        model_insert(m, at, &v);
    } else if (op == 2) {
        assert_true(listpack_replace(lp, listpack_seek(*lp, (int64_t)at), test_slice(&v)));
        m->values[at] = v;
    } else {
        size_t n = 1 + rng_below(rng, m->count - at);
        const uint8_t *rest = listpack_delete(lp, listpack_seek(*lp, (int64_t)at), n);
        model_delete(m, at, n);
        assert_ptr_equal(rest, listpack_seek(*lp, (int64_t)at));
    }
}

static void test_random_changes_against_a_model(void **state)
{
    struct rng rng;
    rng_seed(&rng, 11);
    struct model m = {.values = calloc(MODEL_MAX, sizeof(struct test_value))};
    uint8_t *lp = listpack_new();
    for (unsigned i = 0; i < 3000; i++) {
        model_step(&m, &lp, &rng);
        assert_model(&m, lp);
    }
    uint8_t *half = listpack_new();
    size_t from = m.count / 2;
    assert_true(listpack_append_from(&half, lp, listpack_seek(lp, (int64_t)from)));
    model_delete(&m, 0, from);
    assert_model(&m, half);
    free(half);
    free(lp);
    free(m.values);
}

static void test_damaged_blocks_are_refused(void **state)
{
    uint8_t *lp =
        listpack_of((const char *const[]){"1", "abc", "300", "70000", "5000000000", NULL});
    size_t len = listpack_bytes(lp);
    assert_true(listpack_validate(slice_from(lp, len), NULL));
    for (size_t cut = 0; cut < len; cut++)
        assert_false(listpack_validate(slice_from(lp, cut), NULL));
    /* Header and structure bytes: total, count, an encoding, a back-length, the end. */
    static const size_t places[] = {0, 1, 2, 3, 4, 5, 7, 8};
    for (size_t i = 0; i < count_of(places); i++) {
        lp[places[i]] ^= 0x05;
        assert_false(listpack_validate(slice_from(lp, len), NULL));
        lp[places[i]] ^= 0x05;
    }
    lp[len - 1] = 0;
    assert_false(listpack_validate(slice_from(lp, len), NULL));
    /* A string whose length runs over the end, an encoding that does not exist. */
    static const uint8_t long_string[] = {12, 0, 0, 0, 1, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t no_encoding[] = {9, 0, 0, 0, 1, 0, 0xf5, 1, 0xff};
    static const uint8_t end_inside[] = {9, 0, 0, 0, 0, 0, 0xff, 1, 0xff};
    assert_false(listpack_validate(slice_from(long_string, sizeof(long_string)), NULL));
    assert_false(listpack_validate(slice_from(no_encoding, sizeof(no_encoding)), NULL));
    assert_false(listpack_validate(slice_from(end_inside, sizeof(end_inside)), NULL));
    free(lp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_have_the_bytes_of_the_format),
        cmocka_unit_test(test_string_lengths_around_each_limit),
        cmocka_unit_test(test_find_tells_numbers_from_text),
        cmocka_unit_test(test_count_beyond_the_header),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_damaged_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
