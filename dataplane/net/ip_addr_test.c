#include <string.h>
#include "test_cmocka.h"
#include "ip_addr.h"

static void parses_and_formats(void **state)
{
    static const char *const same[] = {"10.0.0.1", "255.255.255.255", "::1",
                                       "fd00::1",  "fe80::1:2",       "1:2:3:4:5:6:7:8"};
    char text[IP_ADDR_TEXT_SIZE];
    struct ip_addr a;
    for (unsigned i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_true(ip_addr_parse(same[i], &a, NULL));
        ip_addr_format(&a, text);
        assert_string_equal(text, same[i]);
    }
}

static void ipv4_is_mapped(void **state)
{
    struct ip_addr a, b;
    assert_true(ip_addr_parse("10.77.0.1", &a, NULL));
    assert_true(ip_addr_parse("::ffff:10.77.0.1", &b, NULL));
    assert_true(ip_addr_is4(&a));
    assert_true(ip_addr_equal(&a, &b));
    assert_true(ip_addr_parse("::10.77.0.1", &b, NULL));
    assert_false(ip_addr_is4(&b));
}

static void prefix_has_defaults_and_bounds(void **state)
{
    struct ip_addr a;
    unsigned prefix = 77;
    assert_true(ip_addr_parse("10.0.0.1/24", &a, &prefix));
    assert_int_equal(prefix, 24);
    assert_true(ip_addr_parse("10.0.0.1", &a, &prefix));
    assert_int_equal(prefix, 32);
    assert_true(ip_addr_parse("fd00::1", &a, &prefix));
    assert_int_equal(prefix, 128);
    assert_true(ip_addr_parse("fd00::1/0", &a, &prefix));
    assert_int_equal(prefix, 0);
}

static void refuses_nonsense(void **state)
{
    static const char *const bad[] = {
        "",
        "10",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.1/33",
        "10.0.0.1/",
        "fd00::1/129",
        "10.0.0.1/ 8",
        "10.0.0.1/+8",
        "10.0.0.1/08",
        "10.0.0.1/8x",
        "fd00:::1",
        "g::1",
        "10.0.0.1/1111111111111111111111",
        "1111111111111111111111111111111111111111111111111111111111111111"};
    struct ip_addr a;
    unsigned prefix;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(ip_addr_parse(bad[i], &a, &prefix));
    assert_false(ip_addr_parse("10.0.0.1/24", &a, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),
        cmocka_unit_test(ipv4_is_mapped),
        cmocka_unit_test(prefix_has_defaults_and_bounds),
        cmocka_unit_test(refuses_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
