#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "check.h"
#include "numbers.h"

static void expect_i64(const char *text, int64_t want)
{
    int64_t got = 99;
    assert_true(parse_i64(slice_str(text), &got));
    assert_true(got == want);
    char buf[NUMBER_TEXT_SIZE];
    assert_int_equal(format_i64(buf, want), strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

static void test_integers(void **state)
{
    expect_i64("0", 0);
    expect_i64("7", 7);
    expect_i64("-1", -1);
    expect_i64("10", 10);
    expect_i64("100", 100);
    expect_i64("12345", 12345);
    expect_i64("9223372036854775807", INT64_MAX);
    expect_i64("-9223372036854775808", INT64_MIN);
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        "-0",
        "01",
        "-01",
        " 1",
        "1 ",
        "1.0",
        "0x1",
        "1e3",
        "a",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999999",
    };
    for (size_t i = 0; i < count_of(bad); i++) {
        int64_t out;
        assert_false(parse_i64(slice_str(bad[i]), &out));
    }
    int64_t out;
    assert_false(parse_i64(slice_from("1\0", 2), &out));
    assert_false(parse_i64(slice_from(NULL, 0), &out));
}

static void test_unsigned(void **state)
{
    uint64_t out;
    char buf[NUMBER_TEXT_SIZE];
    assert_true(parse_u64(slice_str("18446744073709551615"), &out));
    assert_true(out == UINT64_MAX);
    assert_int_equal(format_u64(buf, out), 20);
    assert_memory_equal(buf, "18446744073709551615", 20);
    assert_false(parse_u64(slice_str("18446744073709551616"), &out));
    assert_false(parse_u64(slice_str("-1"), &out));
    assert_false(parse_u64(slice_str("00"), &out));
}

static void test_doubles_in(void **state)
{
    double d;
    assert_true(parse_double(slice_str("3.5"), &d) && d == 3.5);
    assert_true(parse_double(slice_str("-inf"), &d) && isinf(d) && d < 0);
    assert_true(parse_double(slice_str("+inf"), &d) && isinf(d));
    assert_true(parse_double(slice_str("1e3"), &d) && d == 1000);
    assert_true(parse_double(slice_str("0x10"), &d) && d == 16);
    static const char *const bad[] = {"",       " 1",     "1 ",  "nan", "abc", "1e999",
                                      "-1e999", "1e-999", "1,5", "--1", "\t1"};
    for (size_t i = 0; i < count_of(bad); i++)
        assert_false(parse_double(slice_str(bad[i]), &d));
    assert_false(parse_double(slice_from("1\0002", 3), &d));
    char digits[6000];
    memset(digits, '0', sizeof(digits));
    digits[0] = '1';
    digits[1] = '.';
    assert_true(parse_double(slice_from(digits, sizeof(digits)), &d) && d == 1);
    long double ld;
    assert_false(parse_long_double(slice_from(digits, sizeof(digits)), &ld));
    assert_true(parse_long_double(slice_from(digits, 5000), &ld) && ld == 1);
    assert_false(parse_long_double(slice_str("1e5000"), &ld));
    assert_false(parse_long_double(slice_str("nan"), &ld));
    assert_true(parse_long_double(slice_str("inf"), &ld) && isinf(ld));
}

static void expect_double(double value, const char *want)
{
    char buf[128];
    size_t len = format_double(buf, value);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(buf, want, len);
}

static void test_doubles_out(void **state)
{
    expect_double(0, "0");
    expect_double(-0.0, "-0");
    expect_double(3, "3");
    expect_double(-17, "-17");
    expect_double(0.1, "0.10000000000000001");
    expect_double(999999999999999, "999999999999999");
    expect_double(1e16, "10000000000000000");
    expect_double(1e17, "1e+17");
    expect_double(1e20, "1e+20");
    expect_double(INFINITY, "inf");
    expect_double(-INFINITY, "-inf");
    expect_double(1.7976931348623157e308, "1.7976931348623157e+308");
}

static void expect_human(long double value, const char *want)
{
    static char buf[LONG_DOUBLE_TEXT_SIZE];
    size_t len = format_long_double_human(buf, value);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(buf, want, len);
}

static void test_long_doubles_out(void **state)
{
    expect_human(0, "0");
    expect_human(-0.0L, "0");
    expect_human(-1e-30L, "0");
    expect_human(10.5L, "10.5");
    expect_human(100, "100");
    expect_human(0.1L, "0.1");
    expect_human(-3.25L, "-3.25");
    expect_human(1e20L, "100000000000000000000");
    expect_human(INFINITY, "inf");
    static char buf[LONG_DOUBLE_TEXT_SIZE];
    assert_true(format_long_double_human(buf, 1e4900L) > 4900);
}

static void test_memory(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"5", 5},
        {"1b", 1},
        {"1k", 1000},
        {"1kb", 1024},
        {"1m", 1000000},
        {"100mb", 100u << 20},
        {"1G", 1000000000},
        {"1GB", 1u << 30},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
    };
    uint64_t out;
    for (size_t i = 0; i < count_of(good); i++) {
        assert_true(parse_memory(slice_str(good[i].text), &out));
        assert_true(out == good[i].bytes);
    }
    static const char *const bad[] = {
        "", "mb", "-1", "1 mb", "1tb", "1.5gb", "1kbb", "18446744073709551616", "99999999999gb"};
    for (size_t i = 0; i < count_of(bad); i++)
        assert_false(parse_memory(slice_str(bad[i]), &out));
}

static bool glob(const char *pattern, const char *text)
{
    return glob_match(slice_str(pattern), slice_str(text), false);
}

static bool glob_i(const char *pattern, const char *text)
{
    return glob_match(slice_str(pattern), slice_str(text), true);
}

static void test_glob(void **state)
{
    assert_true(glob("h?llo", "hello"));
    assert_false(glob("h?llo", "hllo"));
    assert_true(glob("h*llo", "heeeello"));
    assert_true(glob("h*llo", "hllo"));
    assert_true(glob("h[ae]llo", "hallo"));
    assert_false(glob("h[ae]llo", "hillo"));
    assert_true(glob("h[^e]llo", "hallo"));
    assert_false(glob("h[^e]llo", "hello"));
    assert_true(glob("h[a-c]llo", "hbllo"));
    assert_true(glob("h[c-a]llo", "hbllo"));
    assert_true(glob("h\\?llo", "h?llo"));
    assert_false(glob("h\\?llo", "hello"));
    assert_true(glob("*", "x"));
    assert_true(glob("a**b***", "ab"));
    assert_true(glob("*a*b*c", "xxaxxbxxabc"));
    assert_false(glob("*a*b*c", "xxaxxbxxab"));
    assert_true(glob("", ""));
    assert_false(glob("", "a"));
    assert_false(glob("a", "ab"));
    assert_false(glob("ab", "a"));
    assert_false(glob("HELLO", "hello"));
    assert_true(glob_i("H[EA]L?O", "hello"));
    assert_true(glob_i("h[A-Z]llo", "hello"));
}

static void test_glob_odd_patterns(void **state)
{
    assert_true(glob("abc\\", "abc\\"));
    assert_false(glob("abc\\", "abc"));
    assert_true(glob("[abc", "a"));
    assert_true(glob("[abc", "c"));
    assert_false(glob("[abc", "d"));
    assert_false(glob("[", "["));
    assert_true(glob("[^", "x"));
    assert_false(glob("[]", "]"));
    assert_true(glob("[^]", "x"));
    assert_true(glob("[\\]]", "]"));
    assert_true(glob("[a-", "-"));
    assert_true(glob("[a-]", "]"));
    assert_true(glob("[a-]", "_"));
    assert_false(glob("[a-]", "b"));
    assert_true(glob("[\\", "\\"));
    assert_false(glob_i("[\\A]", "a"));
    assert_true(glob("[\xf0-\x7f]", "a"));
    assert_false(glob("[\x01-\xff]", "a"));
}

static void test_glob_work_is_bounded(void **state)
{
    static char pattern[20001];
    static char text[100001];
    for (int i = 0; i < 10000; i++) {
        pattern[2 * i] = 'a';
        pattern[2 * i + 1] = '*';
    }
    pattern[20000] = 'b';
    memset(text, 'a', sizeof(text));
    assert_false(
        glob_match(slice_from(pattern, sizeof(pattern)), slice_from(text, sizeof(text)), false));
    text[sizeof(text) - 1] = 'b';
    assert_true(
        glob_match(slice_from(pattern, sizeof(pattern)), slice_from(text, sizeof(text)), false));
}

static void test_words(void **state)
{
    assert_true(slice_equal_word(slice_str("GeT"), "get"));
    assert_false(slice_equal_word(slice_str("get"), "gets"));
    assert_false(slice_equal_word(slice_str("gets"), "get"));
    assert_false(slice_equal_word(slice_from("get\0", 4), "get"));
    assert_true(slice_equal_word(slice_str(""), ""));
    assert_false(slice_equal_word(slice_str("@"), "`"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_doubles_in),
        cmocka_unit_test(test_doubles_out),
        cmocka_unit_test(test_long_doubles_out),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_glob),
        cmocka_unit_test(test_glob_odd_patterns),
        cmocka_unit_test(test_glob_work_is_bounded),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
