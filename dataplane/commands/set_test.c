#include "one_client.h"

#define INTSET "$6\r\nintset\r\n"
#define HASHTABLE "$9\r\nhashtable\r\n"

static void members_are_added_and_removed(void **state)
{
    SAYS("sadd s 3 1 2 1", ":3\r\n");
    SAYS("sadd s 1", ":0\r\n");
    SAYS("scard s", ":3\r\n");
    SAYS("scard none", ":0\r\n");
    SAYS("smembers s", "*3\r\n" ONE("1") ONE("2") ONE("3"));
    SAYS("smembers none", "*0\r\n");
    SAYS("sismember s 2", ":1\r\n");
    SAYS("sismember s 02", ":0\r\n");
    SAYS("smismember s 1 x 3", "*3\r\n:1\r\n:0\r\n:1\r\n");
    SAYS("smismember none 1 2", "*2\r\n:0\r\n:0\r\n");
    SAYS("srem s 1 x 3", ":2\r\n");
    SAYS("srem s 2 2", ":1\r\n");
    SAYS("exists s", ":0\r\n");
    SAYS("srem s 2", ":0\r\n");
}

static void errors_have_the_words_of_redis(void **state)
{
    SAYS("set str x", "+OK\r\n");
    SAYS("sadd s 1 2", ":2\r\n");
    SAYS("sadd str 1", WRONG_TYPE);
    SAYS("smembers str", WRONG_TYPE);
    SAYS("smove s str 9", WRONG_TYPE);
    SAYS("smove str s 1", WRONG_TYPE);
    SAYS("smove none str 1", ":0\r\n");
    SAYS("sinter none str", WRONG_TYPE);
    SAYS("sdiff none str", WRONG_TYPE);
    SAYS("spop s -1", "-ERR value is out of range, must be positive\r\n");
    SAYS("spop s x", "-ERR value is out of range, must be positive\r\n");
    SAYS("spop s 1 2", "-ERR syntax error\r\n");
    SAYS("srandmember s 1 2", "-ERR syntax error\r\n");
    SAYS("srandmember s x", "-ERR value is not an integer or out of range\r\n");
    SAYS("srandmember s -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and "
         "9223372036854775807\r\n");
    SAYS("srandmember s -9223372036854775807", "-ERR value is out of range\r\n");
    SAYS("sintercard 0 s", "-ERR numkeys should be greater than 0\r\n");
    SAYS("sintercard x s", "-ERR numkeys should be greater than 0\r\n");
    SAYS("sintercard 2 s", "-ERR Number of keys can't be greater than number of args\r\n");
    SAYS("sintercard 1 s limit -1", "-ERR LIMIT can't be negative\r\n");
    SAYS("sintercard 1 s limit", "-ERR syntax error\r\n");
    SAYS("sscan s x", "-ERR invalid cursor\r\n");
}

static void members_move(void **state)
{
    SAYS("sadd a 1 2", ":2\r\n");
    SAYS("smove a b 1", ":1\r\n");
    SAYS("smove a b 9", ":0\r\n");
    SAYS("smove b b 1", ":1\r\n");
    SAYS("sadd b 2", ":1\r\n");
    SAYS("smove a b 2", ":1\r\n");
    SAYS("exists a", ":0\r\n");
    SAYS("smembers b", "*2\r\n" ONE("1") ONE("2"));
}

static void sets_are_combined(void **state)
{
    SAYS("sadd a 1 2 3 4", ":4\r\n");
    SAYS("sadd b 3 4 5", ":3\r\n");
    SAYS("sinter a b", "*2\r\n" ONE("3") ONE("4"));
    SAYS("sinter a none", "*0\r\n");
    SAYS("sinter a a", "*4\r\n" ONE("1") ONE("2") ONE("3") ONE("4"));
    SAYS("sunion b none a", "*5\r\n" ONE("1") ONE("2") ONE("3") ONE("4") ONE("5"));
    SAYS("sdiff a b", "*2\r\n" ONE("1") ONE("2"));
    SAYS("sdiff none a", "*0\r\n");
    SAYS("sdiff a b a", "*0\r\n");
    SAYS("sintercard 2 a b", ":2\r\n");
    SAYS("sintercard 2 a b limit 1", ":1\r\n");
    SAYS("sintercard 2 a none", ":0\r\n");
}

static void results_are_stored_over_anything(void **state)
{
    SAYS("sadd a 1 2 3", ":3\r\n");
    SAYS("sadd b 3 4", ":2\r\n");
    SAYS("set d x ex 100", "+OK\r\n");
    SAYS("sinterstore d a b", ":1\r\n");
    SAYS("ttl d", ":-1\r\n");
    SAYS("smembers d", "*1\r\n" ONE("3"));
    SAYS("sunionstore a a b", ":4\r\n");
    SAYS("sdiffstore a a b", ":2\r\n");
    SAYS("smembers a", "*2\r\n" ONE("1") ONE("2"));
    SAYS("sinterstore d a none", ":0\r\n");
    SAYS("exists d", ":0\r\n");
    SAYS("set d x", "+OK\r\n");
    SAYS("sdiffstore d a d", WRONG_TYPE);
    SAYS("sdiffstore d none b", ":0\r\n");
    SAYS("exists d", ":0\r\n");
}

static void encodings_change_at_the_configured_limit(void **state)
{
    test_node_config(node, "set-max-intset-entries", "3");
    SAYS("sadd s 1 2 3", ":3\r\n");
    SAYS("object encoding s", INTSET);
    SAYS("sadd s 3", ":0\r\n");
    SAYS("object encoding s", INTSET);
    SAYS("sadd s 4", ":1\r\n");
    SAYS("object encoding s", HASHTABLE);
    SAYS("srem s 4", ":1\r\n");
    SAYS("object encoding s", HASHTABLE);
    SAYS("sadd t 1 x", ":2\r\n");
    SAYS("object encoding t", HASHTABLE);
    /* Built member by member, so numbers alone become an intset again. */
    SAYS("sunionstore u s", ":3\r\n");
    SAYS("object encoding u", INTSET);
    /* Redis removes from a copy of a large first set, and looks up the members of a small one. */
    SAYS("sadd big x 1 2 3 4 5 6 7", ":8\r\n");
    SAYS("sadd y y", ":1\r\n");
    SAYS("sdiffstore v t y", ":2\r\n");
    SAYS("sadd z x 3 4 5 6 7", ":6\r\n");
    SAYS("sdiffstore v big z", ":2\r\n");
    SAYS("object encoding v", INTSET);
    SAYS("sadd z1 x\r\nsadd z2 3\r\nsadd z3 4\r\nsadd z4 5\r\nsadd z5 6 7",
         ":1\r\n:1\r\n:1\r\n:1\r\n:2\r\n");
    SAYS("sdiffstore v big z1 z2 z3 z4 z5", ":2\r\n");
    SAYS("object encoding v", HASHTABLE);
}

static void random_members_are_distinct_or_repeated(void **state)
{
    SAYS("srandmember none", "$-1\r\n");
    SAYS("srandmember none 2", "*0\r\n");
    SAYS("sadd s 1 2", ":2\r\n");
    SAYS("srandmember s 0", "*0\r\n");
    SAYS("srandmember s 5", "*2\r\n" ONE("1") ONE("2"));
    SAYS("sadd one x", ":1\r\n");
    SAYS("srandmember one", ONE("x"));
    SAYS("srandmember one -2", "*2\r\n" ONE("x") ONE("x"));
    SAYS("spop one", ONE("x"));
    SAYS("exists one", ":0\r\n");
    SAYS("spop one", "$-1\r\n");
    SAYS("spop one 1", "*0\r\n");
    SAYS("spop s 0", "*0\r\n");
    SAYS("spop s 9", "*2\r\n" ONE("1") ONE("2"));
    SAYS("exists s", ":0\r\n");
}

/* Few stay: they become a new set, with the expiry of the old one. */
static void popping_most_keeps_the_rest(void **state)
{
    size_t len;
    for (unsigned i = 0; i < 1000; i++) {
        char text[64];
        test_send(client, text, (size_t)snprintf(text, sizeof(text), "sadd s %u\r\n", i));
    }
    test_replies(client, &len);
    SAYS("expire s 100", ":1\r\n");
    SAYS("object encoding s", HASHTABLE);
    test_send(client, "spop s 100\r\n", 12);
    assert_memory_equal(test_replies(client, &len), "*100\r\n$", 7);
    SAYS("scard s", ":900\r\n");
    test_send(client, "spop s 890\r\n", 12);
    assert_memory_equal(test_replies(client, &len), "*890\r\n$", 7);
    SAYS("scard s", ":10\r\n");
    SAYS("ttl s", ":100\r\n");
    SAYS("object encoding s", INTSET);
    test_send(client, "srandmember s -50\r\n", 19);
    assert_memory_equal(test_replies(client, &len), "*50\r\n$", 6);
}

static void distinct_members_of_a_large_set(void **state)
{
    size_t len;
    for (unsigned i = 0; i < 2000; i++) {
        char text[64];
        test_send(client, text, (size_t)snprintf(text, sizeof(text), "sadd s m%u\r\n", i));
    }
    test_replies(client, &len);
    test_send(client, "srandmember s 100\r\n", 19);
    assert_memory_equal(test_replies(client, &len), "*100\r\n$", 7);
    test_send(client, "srandmember s 1900\r\n", 20);
    assert_memory_equal(test_replies(client, &len), "*1900\r\n$", 8);
    test_send(client, "sscan s 0 count 100000\r\n", 24);
    assert_memory_equal(test_replies(client, &len), "*2\r\n$1\r\n0\r\n*2000\r\n", 18);
    SAYS("unlink s", ":1\r\n");
}

static void resp3_has_sets(void **state)
{
    SAYS("sadd s 1 2", ":2\r\n");
    test_send(client, "hello 3\r\n", 9);
    test_replies(client, NULL);
    SAYS("smembers s", "~2\r\n" ONE("1") ONE("2"));
    SAYS("sinter s s", "~2\r\n" ONE("1") ONE("2"));
    SAYS("sunion s none", "~2\r\n" ONE("1") ONE("2"));
    SAYS("sdiff none s", "~0\r\n");
    SAYS("srandmember s 2", "*2\r\n" ONE("1") ONE("2"));
    SAYS("spop none 1", "~0\r\n");
    SAYS("spop s 2", "~2\r\n" ONE("1") ONE("2"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_are_added_and_removed),
        TEST(errors_have_the_words_of_redis),
        TEST(members_move),
        TEST(sets_are_combined),
        TEST(results_are_stored_over_anything),
        TEST(encodings_change_at_the_configured_limit),
        TEST(random_members_are_distinct_or_repeated),
        TEST(popping_most_keeps_the_rest),
        TEST(distinct_members_of_a_large_set),
        TEST(resp3_has_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
