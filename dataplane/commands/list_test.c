#include "one_client.h"

#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define LIST1(a) "*1\r\n" ONE(a)
#define LIST2(a, b) "*2\r\n" ONE(a) ONE(b)
#define LIST3(a, b, c) "*3\r\n" ONE(a) ONE(b) ONE(c)
#define LIST4(a, b, c, d) "*4\r\n" ONE(a) ONE(b) ONE(c) ONE(d)

static void elements_are_pushed_and_popped(void **state)
{
    SAYS("rpush l a b", ":2\r\n");
    SAYS("lpush l 1 2", ":4\r\n");
    SAYS("lrange l 0 -1", LIST4("2", "1", "a", "b"));
    SAYS("lpushx l 3", ":5\r\n");
    SAYS("rpushx none 3", ":0\r\n");
    SAYS("llen l", ":5\r\n");
    SAYS("lpop l", ONE("3"));
    SAYS("rpop l 2", LIST2("b", "a"));
    SAYS("lpop l 0", "*0\r\n");
    SAYS("lpop l 9", LIST2("2", "1"));
    SAYS("exists l", ":0\r\n");
    SAYS("lpop l", "$-1\r\n");
    SAYS("rpop l 1", "*-1\r\n");
    SAYS("object encoding l", "$-1\r\n");
}

static void errors_have_the_words_of_redis(void **state)
{
    SAYS("set s x", "+OK\r\n");
    SAYS("rpush l a", ":1\r\n");
    SAYS("lpush s a", WRONG_TYPE);
    SAYS("lpop l 1 2", "-ERR wrong number of arguments for 'lpop' command\r\n");
    SAYS("lpop s x", "-ERR value is out of range, must be positive\r\n");
    SAYS("rpop l -1", "-ERR value is out of range, must be positive\r\n");
    SAYS("lindex none x", "$-1\r\n");
    SAYS("lindex l x", NOT_INTEGER);
    SAYS("lset none 0 x", "-ERR no such key\r\n");
    SAYS("lset l 1 x", "-ERR index out of range\r\n");
    SAYS("lset l x x", NOT_INTEGER);
    SAYS("lrange s 0 x", NOT_INTEGER);
    SAYS("lrange s 0 1", WRONG_TYPE);
    SAYS("linsert s between a b", SYNTAX);
    SAYS("lrem s x a", NOT_INTEGER);
    SAYS("lmove l s up left", SYNTAX);
    SAYS("lmove l s left left", WRONG_TYPE);
    SAYS("lmove none s left left", "$-1\r\n");
    SAYS("lmpop 0 l left", "-ERR numkeys should be greater than 0\r\n");
    SAYS("lmpop 2 l left", SYNTAX);
    SAYS("lmpop 1 l up", SYNTAX);
    SAYS("lmpop 1 l left count 0", "-ERR count should be greater than 0\r\n");
    SAYS("lmpop 1 l left count 1 count 1", SYNTAX);
    SAYS("lmpop 2 none s left", WRONG_TYPE);
    SAYS("lpos l a rank 0",
         "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
         "use negative to start from the end of the list\r\n");
    SAYS("lpos l a count -1", "-ERR COUNT can't be negative\r\n");
    SAYS("lpos l a maxlen x", "-ERR MAXLEN can't be negative\r\n");
    SAYS("lpos l a rank", SYNTAX);
    SAYS("lrange l 0 -1", LIST1("a"));
}

static void positions_count_from_both_ends(void **state)
{
    SAYS("rpush l a b c d", ":4\r\n");
    SAYS("lindex l 0", ONE("a"));
    SAYS("lindex l -1", ONE("d"));
    SAYS("lindex l 4", "$-1\r\n");
    SAYS("lset l -2 x", "+OK\r\n");
    SAYS("lrange l 1 2", LIST2("b", "x"));
    SAYS("lrange l -100 100", LIST4("a", "b", "x", "d"));
    SAYS("lrange l 3 1", "*0\r\n");
    SAYS("lrange l 4 9", "*0\r\n");
    SAYS("lrange l -9223372036854775808 9223372036854775807", LIST4("a", "b", "x", "d"));
    SAYS("ltrim l 1 -2", "+OK\r\n");
    SAYS("lrange l 0 -1", LIST2("b", "x"));
    SAYS("ltrim l 5 9", "+OK\r\n");
    SAYS("exists l", ":0\r\n");
    SAYS("ltrim l 0 1", "+OK\r\n");
}

static void values_are_found_removed_and_inserted(void **state)
{
    SAYS("rpush l a b a c a 1", ":6\r\n");
    SAYS("lpos l a", ":0\r\n");
    SAYS("lpos l a rank 2", ":2\r\n");
    SAYS("lpos l a rank -1", ":4\r\n");
    SAYS("lpos l a count 0", "*3\r\n:0\r\n:2\r\n:4\r\n");
    SAYS("lpos l a count 2 rank -1", "*2\r\n:4\r\n:2\r\n");
    SAYS("lpos l a count 0 maxlen 3", "*2\r\n:0\r\n:2\r\n");
    SAYS("lpos l a rank -9223372036854775808", ":4\r\n");
    SAYS("lpos l a rank -9223372036854775808 count 1", "*3\r\n:4\r\n:2\r\n:0\r\n");
    SAYS("lpos l x", "$-1\r\n");
    SAYS("lpos l x count 1", "*0\r\n");
    SAYS("lpos none a count 1", "*0\r\n");
    SAYS("lrem l -1 a", ":1\r\n");
    SAYS("lrem l 1 a", ":1\r\n");
    SAYS("lrange l 0 -1", LIST4("b", "a", "c", "1"));
    SAYS("lrem l 0 01", ":0\r\n");
    SAYS("linsert l before 1 x", ":5\r\n");
    SAYS("linsert l after 1 y", ":6\r\n");
    SAYS("linsert l after none y", ":-1\r\n");
    SAYS("linsert none after a y", ":0\r\n");
    SAYS("lrange l 2 -1", LIST4("c", "x", "1", "y"));
}

static void elements_move_between_lists(void **state)
{
    SAYS("rpush a 1 2 3", ":3\r\n");
    SAYS("rpoplpush a b", ONE("3"));
    SAYS("lmove a b left right", ONE("1"));
    SAYS("lrange b 0 -1", LIST2("3", "1"));
    SAYS("lmove a b left left", ONE("2"));
    SAYS("exists a", ":0\r\n");
    SAYS("rpoplpush b b", ONE("1"));
    SAYS("lrange b 0 -1", LIST3("1", "2", "3"));
    SAYS("lmove b b left left", ONE("1"));
    SAYS("lmove b b right right", ONE("3"));
    SAYS("lmove b b left right", ONE("1"));
    SAYS("lrange b 0 -1", LIST3("2", "3", "1"));
    SAYS("rpush one x", ":1\r\n");
    SAYS("lmove one one left right", ONE("x"));
    SAYS("llen one", ":1\r\n");
}

static void the_first_list_with_elements_is_popped(void **state)
{
    SAYS("rpush b 1 2 3", ":3\r\n");
    SAYS("lmpop 2 a b left", "*2\r\n" ONE("b") LIST1("1"));
    SAYS("lmpop 2 a b RIGHT count 9", "*2\r\n" ONE("b") LIST2("3", "2"));
    SAYS("lmpop 2 a b left", "*-1\r\n");
    SAYS("exists b", ":0\r\n");
}

/* Elements beyond a node's size, replaced by small ones and back. */
static void large_elements_keep_their_place(void **state)
{
    static char command[30000], want[30000];
    memset(command, 'x', sizeof(command));
    memcpy(command, "rpush l a ", 10);
    memcpy(command + 20010, " b\r\n", 4);
    test_send(client, command, 20014);
    assert_string_equal(test_replies(client, NULL), ":3\r\n");
    memcpy(want, "$20000\r\n", 8);
    memset(want + 8, 'x', 20000);
    memcpy(want + 20008, "\r\n", 3);
    SAYS("lindex l 1", want);
    SAYS("object encoding l", "$9\r\nquicklist\r\n");
    SAYS("lset l 1 m", "+OK\r\n");
    SAYS("lrange l 0 -1", LIST3("a", "m", "b"));
    memcpy(command, "lset l 2  ", 10);
    memcpy(command + 20010, "\r\n", 2);
    test_send(client, command, 20012);
    assert_string_equal(test_replies(client, NULL), "+OK\r\n");
    SAYS("lrange l 0 1", LIST2("a", "m"));
    SAYS("rpop l", want);
    SAYS("llen l", ":2\r\n");
}

static void resp3_has_its_own_nulls(void **state)
{
    test_send(client, "hello 3\r\n", 9);
    test_replies(client, NULL);
    SAYS("lpop none", "_\r\n");
    SAYS("lpop none 1", "_\r\n");
    SAYS("lmpop 1 none left", "_\r\n");
    SAYS("lpos none x", "_\r\n");
}

/* LTRIM counts as a change even when it cuts nothing off; reading does not. */
static void watchers_see_changes_only(void **state)
{
    struct test_client *other = test_connect(node, 0);
    SAYS("rpush l a", ":1\r\n");
    SAYS("watch l", "+OK\r\n");
    TEST_SAYS(other, "lrange l 0 -1\r\nlrem l 0 x\r\n", LIST1("a") ":0\r\n");
    SAYS("multi\r\nllen l\r\nexec", "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n");
    SAYS("watch l", "+OK\r\n");
    TEST_SAYS(other, "ltrim l 0 -1\r\n", "+OK\r\n");
    SAYS("multi\r\nllen l\r\nexec", "+OK\r\n+QUEUED\r\n*-1\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(elements_are_pushed_and_popped),  TEST(errors_have_the_words_of_redis),
        TEST(positions_count_from_both_ends),  TEST(values_are_found_removed_and_inserted),
        TEST(elements_move_between_lists),     TEST(the_first_list_with_elements_is_popped),
        TEST(large_elements_keep_their_place), TEST(resp3_has_its_own_nulls),
        TEST(watchers_see_changes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
