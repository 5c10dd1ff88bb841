#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>
#include "error_counts.h"
#include "reply.h"

static struct outbuf out;

static struct reply reply_start(uint8_t protocol)
{
    outbuf_init(&out);
    return (struct reply){.out = &out, .protocol = protocol};
}

static void expect(const char *want)
{
    size_t len = out.len;
    char *got = malloc(len + 1);
    struct outbuf_cursor cursor;
    outbuf_cursor_reset(&out, &cursor);
    outbuf_copy(&out, &cursor, (uint8_t *)got, len);
    got[len] = '\0';
    assert_string_equal(got, want);
    free(got);
    outbuf_clear(&out);
}

static void every_kind(struct reply *r)
{
    reply_status(r, "PONG");
    reply_ok(r);
    reply_error(r, REPLY_SYNTAX);
    reply_i64(r, 0);
    reply_i64(r, INT64_MIN);
    reply_i64(r, INT64_MAX);
    reply_bulk_str(r, "abc");
    reply_bulk(r, slice_from(NULL, 0));
    reply_bulk_i64(r, -17);
    reply_bulk_begin(r, 4);
    reply_raw(r, slice_str("wxyz"));
    reply_bulk_end(r);
    reply_verbatim(r, slice_str("hi"));
    reply_null(r);
    reply_null_array(r);
    reply_double(r, 1.5);
    reply_double(r, 3);
    reply_double(r, -INFINITY);
    reply_bool(r, true);
    reply_bool(r, false);
    reply_array(r, 12);
    reply_map(r, 3);
    reply_set(r, 2);
    reply_push(r, 1);
}

static void resp2(void **state)
{
    struct reply r = reply_start(2);
    every_kind(&r);
    expect("+PONG\r\n+OK\r\n-ERR syntax error\r\n:0\r\n:-9223372036854775808\r\n"
           ":9223372036854775807\r\n$3\r\nabc\r\n$0\r\n\r\n$3\r\n-17\r\n$4\r\nwxyz\r\n$2\r\nhi\r\n"
           "$-1\r\n*-1\r\n$3\r\n1.5\r\n$1\r\n3\r\n$4\r\n-inf\r\n:1\r\n:0\r\n*12\r\n*6\r\n*2\r\n*"
           "1\r\n");
}

static void resp3(void **state)
{
    struct reply r = reply_start(3);
    every_kind(&r);
    expect(
        "+PONG\r\n+OK\r\n-ERR syntax error\r\n:0\r\n:-9223372036854775808\r\n"
        ":9223372036854775807\r\n$3\r\nabc\r\n$0\r\n\r\n$3\r\n-17\r\n$4\r\nwxyz\r\n=6\r\ntxt:hi\r\n"
        "_\r\n_\r\n,1.5\r\n,3\r\n,-inf\r\n#t\r\n#f\r\n*12\r\n%3\r\n~2\r\n>1\r\n");
}

static void muted_replies_leave_nothing(void **state)
{
    struct reply r = reply_start(3);
    r.muted = true;
    every_kind(&r);
    struct reply_deferred d;
    reply_defer_begin(&r, &d);
    reply_i64(&r, 1);
    reply_defer_end(&r, &d, '*', 1);
    assert_true(r.failed);
    expect("");
}

static void errors_stay_on_one_line(void **state)
{
    struct reply r = reply_start(2);
    reply_errorf(&r, "ERR unknown command '%s'", "a\r\nb\n\rc");
    reply_error(&r, "ERR trailing\r\n\r\n");
    expect("-ERR unknown command 'a  b  c'\r\n-ERR trailing\r\n");
}

static void errors_are_counted_by_code(void **state)
{
    struct error_counts counts = {0};
    struct reply r = reply_start(2);
    r.errors = &counts;
    reply_error(&r, REPLY_SYNTAX);
    reply_error(&r, REPLY_WRONG_TYPE);
    reply_error(&r, REPLY_NOT_FLOAT);
    reply_error(&r, "ThisCodeIsTooLongToBeKeptAtAll x");
    assert_int_equal(counts.used, 2);
    assert_int_equal(counts.total, 4);
    assert_int_equal(counts.other, 1);
    assert_string_equal(counts.rows[0].code, "ERR");
    assert_int_equal(counts.rows[0].count, 2);
    assert_string_equal(counts.rows[1].code, "WRONGTYPE");
    for (int i = 0; i < 100; i++)
        reply_errorf(&r, "E%d x", i);
    assert_int_equal(counts.used, ERROR_COUNTS_MAX);
    assert_int_equal(counts.other, 1 + 100 - (ERROR_COUNTS_MAX - 2));
    outbuf_clear(&out);
}

static void deferred_counts_nest(void **state)
{
    struct reply r = reply_start(2);
    struct reply_deferred outer, inner;
    reply_defer_begin(&r, &outer);
    reply_i64(&r, 1);
    reply_defer_begin(&r, &inner);
    reply_i64(&r, 2);
    reply_i64(&r, 3);
    reply_defer_end(&r, &inner, '~', 2);
    reply_defer_end(&r, &outer, '%', 1);
    expect("*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n");
}

static unsigned released;

static void count_release(void *arg)
{
    (void)arg;
    released++;
}

static void large_values_go_by_reference(void **state)
{
    static uint8_t big[100000];
    memset(big, 'v', sizeof(big));
    struct reply r = reply_start(2);
    released = 0;
    reply_bulk_ref(&r, slice_from(big, 10), count_release, NULL);
    assert_int_equal(released, 1);
    reply_bulk_ref(&r, slice_from(big, sizeof(big)), count_release, NULL);
    assert_int_equal(released, 1);
    reply_bulk(&r, slice_from(big, sizeof(big)));
    assert_int_equal(out.len, 17 + 2 * (sizeof(big) + 11));
    outbuf_clear(&out);
    assert_int_equal(released, 2);
    /* Kept aside, its block is moved. */
    struct reply_deferred d;
    reply_defer_begin(&r, &d);
    reply_bulk_ref(&r, slice_from(big, sizeof(big)), count_release, NULL);
    reply_defer_end(&r, &d, '*', 1);
    assert_int_equal(released, 2);
    assert_int_equal(out.len, 4 + sizeof(big) + 11);
    outbuf_clear(&out);
    assert_int_equal(released, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp2),
        cmocka_unit_test(resp3),
        cmocka_unit_test(muted_replies_leave_nothing),
        cmocka_unit_test(errors_stay_on_one_line),
        cmocka_unit_test(errors_are_counted_by_code),
        cmocka_unit_test(deferred_counts_nest),
        cmocka_unit_test(large_values_go_by_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
