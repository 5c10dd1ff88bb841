#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "reply_count.h"

static const char stream[] =
    "+OK\r\n:12\r\n$5\r\nhe\r\no\r\n$-1\r\n*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n*0\r\n"
    "-ERR no\r\n*-1\r\n*1\r\n*0\r\n$0\r\n\r\n";
#define STREAM_REPLIES 10

static void test_counts_whole(void **state)
{
    struct reply_count c = {0};
    assert_true(reply_count_feed(&c, (const uint8_t *)stream, sizeof(stream) - 1));
    assert_int_equal(c.replies, STREAM_REPLIES);
    assert_int_equal(c.errors, 1);
    assert_int_equal(c.open, 0);
}

static void test_counts_the_same_byte_by_byte(void **state)
{
    struct reply_count c = {0};
    for (size_t i = 0; i < sizeof(stream) - 1; i++)
        assert_true(reply_count_feed(&c, (const uint8_t *)stream + i, 1));
    assert_int_equal(c.replies, STREAM_REPLIES);
}

static void test_refuses_what_is_not_resp(void **state)
{
    struct reply_count c = {0};
    assert_false(reply_count_feed(&c, (const uint8_t *)"HTTP/1.1", 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_whole),
        cmocka_unit_test(test_counts_the_same_byte_by_byte),
        cmocka_unit_test(test_refuses_what_is_not_resp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
