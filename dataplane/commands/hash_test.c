#include "one_client.h"

static void fields_are_set_and_read(void **state)
{
    SAYS("hset h a 1 b 2", ":2\r\n");
    SAYS("hset h a 3 c 4", ":1\r\n");
    SAYS("hmset h d 5", "+OK\r\n");
    SAYS("hget h a", "$1\r\n3\r\n");
    SAYS("hget h x", "$-1\r\n");
    SAYS("hget none x", "$-1\r\n");
    SAYS("hmget h a x d", "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n5\r\n");
    SAYS("hmget none a b", "*2\r\n$-1\r\n$-1\r\n");
    SAYS("hlen h", ":4\r\n");
    SAYS("hlen none", ":0\r\n");
    SAYS("hexists h a", ":1\r\n");
    SAYS("hexists h x", ":0\r\n");
    SAYS("hstrlen h a", ":1\r\n");
    SAYS("hstrlen h x", ":0\r\n");
    SAYS("hsetnx h a 9", ":0\r\n");
    SAYS("hsetnx h e 9", ":1\r\n");
    SAYS("hsetnx new e 9", ":1\r\n");
    SAYS("hkeys h", "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n");
    SAYS("hvals h", "*5\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n9\r\n");
    SAYS("hgetall new", "*2\r\n$1\r\ne\r\n$1\r\n9\r\n");
    SAYS("hgetall none", "*0\r\n");
}

static void an_empty_hash_is_gone(void **state)
{
    SAYS("hset h a 1 b 2", ":2\r\n");
    SAYS("hdel h x a", ":1\r\n");
    SAYS("hdel h b b", ":1\r\n");
    SAYS("exists h", ":0\r\n");
    SAYS("hdel h b", ":0\r\n");
    /* A command that fails leaves no empty key behind. */
    SAYS("hincrbyfloat h f inf", "-ERR value is NaN or Infinity\r\n");
    SAYS("exists h", ":0\r\n");
}

static void errors_have_the_words_of_redis(void **state)
{
    SAYS("set s x", "+OK\r\n");
    SAYS("hset h n 1 t text", ":2\r\n");
    SAYS("hset h a", "-ERR wrong number of arguments for 'hset' command\r\n");
    SAYS("hset s a 1 b", "-ERR wrong number of arguments for 'hset' command\r\n");
    SAYS("hmset h a 1 b", "-ERR wrong number of arguments for 'hmset' command\r\n");
    SAYS("hset s a 1", WRONG_TYPE);
    SAYS("hget s a", WRONG_TYPE);
    SAYS("hincrby s a x", "-ERR value is not an integer or out of range\r\n");
    SAYS("hincrby s a 1", WRONG_TYPE);
    SAYS("hincrby h t 1", "-ERR hash value is not an integer\r\n");
    SAYS("hincrby h n 9223372036854775807", "-ERR increment or decrement would overflow\r\n");
    SAYS("hincrbyfloat h n x", "-ERR value is not a valid float\r\n");
    SAYS("hincrbyfloat h t 1", "-ERR hash value is not a float\r\n");
    SAYS("hscan s x", "-ERR invalid cursor\r\n");
    SAYS("hscan s 0 junk", WRONG_TYPE);
    SAYS("hscan none 0 junk", "*2\r\n$1\r\n0\r\n*0\r\n");
    SAYS("hscan h 0 junk", "-ERR syntax error\r\n");
    SAYS("hscan h 0 count 0", "-ERR syntax error\r\n");
    SAYS("hscan h 0 count x", "-ERR value is not an integer or out of range\r\n");
    SAYS("hrandfield h x", "-ERR value is not an integer or out of range\r\n");
    SAYS("hrandfield h 1 junk", "-ERR syntax error\r\n");
    SAYS("hrandfield h -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and "
         "9223372036854775807\r\n");
    SAYS("hrandfield h -9223372036854775807", "-ERR value is out of range\r\n");
    SAYS("hrandfield h 9223372036854775807 withvalues", "-ERR value is out of range\r\n");
}

static void numbers_are_added(void **state)
{
    SAYS("hincrby h n 5", ":5\r\n");
    SAYS("hincrby h n -7", ":-2\r\n");
    SAYS("hget h n", "$2\r\n-2\r\n");
    SAYS("hincrbyfloat h f 10.5", "$4\r\n10.5\r\n");
    SAYS("hincrbyfloat h f 0.1", "$4\r\n10.6\r\n");
    SAYS("hincrbyfloat h n 5.0e3", "$4\r\n4998\r\n");
}

static void encodings_change_at_the_configured_limits(void **state)
{
    test_node_config(node, "hash-max-listpack-entries", "2");
    test_node_config(node, "hash-max-listpack-value", "4");
    SAYS("hset h a 1 b 1234", ":2\r\n");
    SAYS("object encoding h", "$8\r\nlistpack\r\n");
    SAYS("hset h c 1", ":1\r\n");
    SAYS("object encoding h", "$9\r\nhashtable\r\n");
    SAYS("hset v a 12345", ":1\r\n");
    SAYS("object encoding v", "$9\r\nhashtable\r\n");
    SAYS("hdel h a b", ":2\r\n");
    SAYS("object encoding h", "$9\r\nhashtable\r\n");
    SAYS("hgetall h", "*2\r\n$1\r\nc\r\n$1\r\n1\r\n");
}

static void random_fields_are_distinct_or_repeated(void **state)
{
    SAYS("hset h a 1 b 2", ":2\r\n");
    SAYS("hrandfield none", "$-1\r\n");
    SAYS("hrandfield none 3", "*0\r\n");
    SAYS("hrandfield h 0", "*0\r\n");
    SAYS("hrandfield h 5", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    SAYS("hrandfield h 5 withvalues", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
    SAYS("hset one f v", ":1\r\n");
    SAYS("hrandfield one", "$1\r\nf\r\n");
    SAYS("hrandfield one -2", "*2\r\n$1\r\nf\r\n$1\r\nf\r\n");
}

static void resp3_has_maps_and_pairs(void **state)
{
    SAYS("hset h a 1 b 2", ":2\r\n");
    test_send(client, "hello 3\r\n", 9);
    test_replies(client, NULL);
    SAYS("hgetall h", "%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
    SAYS("hgetall none", "%0\r\n");
    SAYS("hkeys h", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    SAYS("hget h x", "_\r\n");
    SAYS("hrandfield h 2 withvalues",
         "*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
}

static void scan_filters_fields(void **state)
{
    SAYS("hset h a1 1 b1 2 a2 3", ":3\r\n");
    SAYS("hscan h 0", "*2\r\n$1\r\n0\r\n*6\r\n$2\r\na1\r\n$1\r\n1\r\n$2\r\nb1\r\n$1\r\n2\r\n"
                      "$2\r\na2\r\n$1\r\n3\r\n");
    SAYS("hscan h 0 match a* count 1",
         "*2\r\n$1\r\n0\r\n*4\r\n$2\r\na1\r\n$1\r\n1\r\n$2\r\na2\r\n$1\r\n3\r\n");
    SAYS("hscan h 18446744073709551616", "-ERR invalid cursor\r\n");
}

static void random_and_scan_of_a_large_hash(void **state)
{
    size_t len;
    for (unsigned i = 0; i < 2000; i++) {
        char text[64];
        test_send(client, text, (size_t)snprintf(text, sizeof(text), "hset h f%u %u\r\n", i, i));
    }
    test_replies(client, &len);
    SAYS("hlen h", ":2000\r\n");
    test_send(client, "hrandfield h 100\r\n", 18);
    assert_memory_equal(test_replies(client, &len), "*100\r\n$", 7);
    test_send(client, "hrandfield h 1500 withvalues\r\n", 30);
    assert_memory_equal(test_replies(client, &len), "*3000\r\n$", 8);
    test_send(client, "hscan h 0 count 100000\r\n", 24);
    assert_memory_equal(test_replies(client, &len), "*2\r\n$1\r\n0\r\n*4000\r\n", 18);
    SAYS("del h", ":1\r\n");
}

/* A change wakes watchers, a command without effect does not. */
static void watchers_see_changes_only(void **state)
{
    struct test_client *other = test_connect(node, 0);
    SAYS("hset h a 1", ":1\r\n");
    SAYS("watch h", "+OK\r\n");
    TEST_SAYS(other, "hdel h x\r\nhsetnx h a 2\r\n", ":0\r\n:0\r\n");
    SAYS("multi\r\nhget h a\r\nexec", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
    SAYS("watch h", "+OK\r\n");
    TEST_SAYS(other, "hset h a 2\r\n", ":0\r\n");
    SAYS("multi\r\nhget h a\r\nexec", "+OK\r\n+QUEUED\r\n*-1\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_are_set_and_read),
        TEST(an_empty_hash_is_gone),
        TEST(errors_have_the_words_of_redis),
        TEST(numbers_are_added),
        TEST(encodings_change_at_the_configured_limits),
        TEST(random_fields_are_distinct_or_repeated),
        TEST(resp3_has_maps_and_pairs),
        TEST(scan_filters_fields),
        TEST(random_and_scan_of_a_large_hash),
        TEST(watchers_see_changes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
