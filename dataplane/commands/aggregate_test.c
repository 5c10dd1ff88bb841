/* What aggregates cost is accounted as they change: after any commands the keyspace's count of a
 * key is what the object says, and nothing is left once the keys are gone. */
#include "check.h"
#include "object.h"
#include "one_client.h"

static uint64_t used_bytes(void)
{
    return ks_used_bytes(test_worker(node, 0)->ks->shared);
}

static void run(const char *text)
{
    test_send(client, text, strlen(text));
    test_send(client, "\r\n", 2);
    assert_true(test_replies(client, NULL)[0] != '-');
}

/* The bytes that a key adds, by creating it beside what is there. */
static uint64_t cost_of(const char *command)
{
    uint64_t before = used_bytes();
    run(command);
    return used_bytes() - before;
}

static void changes_are_accounted(void **state)
{
    static const char *const commands[] = {
        "hset k a 1 b 2",
        "hset k a 1111111111111111111111111111111111111111111111111111111111111111111111 c 3",
        "hdel k a c",
        "hincrby k b 70000",
        "hdel k b",
        "sadd k 1 2 3",
        "sadd k 70000000000",
        "sadd k x y z",
        "srem k 1 2 3 x",
        "spop k 2",
        "spop k 9",
        "rpush k a b c d e f",
        "lset k 2 1111111111111111111111111111111111111111111111111111111111111111111111",
        "linsert k before d x",
        "ltrim k 1 -2",
        "lrem k 0 x",
        "lmove k k left right",
        "lpop k 9",
    };
    /* A neighbour in the slot keeps its index. */
    run("set {k}neighbour x");
    uint64_t empty = used_bytes();
    for (size_t i = 0; i < count_of(commands); i++) {
        run(commands[i]);
        struct ks *ks = test_worker(node, 0)->ks;
        struct key key = key_of(slice_str("k"));
        ks_lock(ks, key.slot);
        struct entry *e = ks_find(ks, &key, 0);
        uint64_t expected = empty;
        if (e)
            expected += entry_mem_bytes(e) + object_mem_bytes(entry_type(e), entry_object(e));
        ks_unlock(ks, key.slot);
        assert_int_equal(used_bytes(), expected);
    }
    assert_int_equal(used_bytes(), empty);
}

/* The same contents cost the same, however they came to be. */
static void results_cost_what_they_hold(void **state)
{
    run("sadd {t}a 1 2 3");
    run("sadd {t}b 2 3 4");
    run("rpush {t}l 1 2 3");
    run("del {t}l");
    uint64_t direct = cost_of("sadd {t}c 2 3");
    run("del {t}c");
    assert_int_equal(cost_of("sinterstore {t}c {t}a {t}b"), direct);
    run("del {t}c");
    run("set {t}c x");
    run("del {t}c");
    assert_int_equal(cost_of("sdiffstore {t}c {t}a {t}none"), cost_of("sunionstore {t}d {t}a"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_are_accounted),
        TEST(results_cost_what_they_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
