/* The digests in here are what DEBUG DIGEST and DEBUG DIGEST-VALUE of redis-server 7.0.15 print for
 * the same data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "check.h"
#include "config.h"
#include "digest.h"
#include "hash.h"
#include "list.h"
#include "metrics.h"
#include "object.h"
#include "qsbr.h"
#include "set.h"

static const struct type_limits limits = {.hash_listpack_entries = 512,
                                          .hash_listpack_value_bytes = 64,
                                          .set_intset_entries = 512,
                                          .list_listpack_size = -2};
#define FAR_MS 4102444800000

struct data {
    struct keyspace *shared;
    struct ks *ks;
    struct digester *digester;
};

static void put(struct ks *ks, struct entry *e)
{
    assert_non_null(e);
    struct key key = key_of(entry_key(e));
    ks_lock(ks, key.slot);
    ks_put(ks, &key, e);
    ks_unlock(ks, key.slot);
}

static void put_string(struct ks *ks, const char *name, struct slice value, int64_t expiry_ms)
{
    struct key key = key_of(slice_str(name));
    put(ks, ks_entry_string(ks, &key, value, expiry_ms));
}

static void put_object(struct ks *ks, const char *name, enum obj_type type, void *object)
{
    struct key key = key_of(slice_str(name));
    put(ks, ks_entry_object(ks, &key, type, object_encoding(type, object), object, EXPIRY_NONE));
}

static struct set *set_of(const char *const *members)
{
    struct set *s = set_new();
    for (; *members; members++)
        assert_int_equal(set_add(s, slice_str(*members), &limits), SET_ADDED);
    return s;
}

static void fill(struct ks *ks)
{
    static uint8_t large[100000], long_element[9000];
    memset(large, 'x', sizeof(large));
    memset(long_element, 'y', sizeof(long_element));
    put_string(ks, "string", slice_str("value"), EXPIRY_NONE);
    put_string(ks, "number", slice_str("12345"), EXPIRY_NONE);
    put_string(ks, "large", slice_from(large, sizeof(large)), EXPIRY_NONE);
    struct list *list = list_new();
    static const char *const elements[] = {"a", "1", "-300"};
    for (size_t i = 0; i < count_of(elements); i++)
        assert_true(quicklist_push(&list->elements, slice_str(elements[i]), false, -2));
    assert_true(
        quicklist_push(&list->elements, slice_from(long_element, sizeof(long_element)), false, -2));
    put_object(ks, "list", OBJ_LIST, list);
    put_object(ks, "intset", OBJ_SET, set_of((const char *const[]){"1", "-2", "70000", NULL}));
    put_object(ks, "set", OBJ_SET, set_of((const char *const[]){"a", "b", "1", NULL}));
    struct hash *hash = hash_new();
    hash_set(hash, slice_str("f"), slice_str("v"), &limits);
    hash_set(hash, slice_str("1"), slice_str("2"), &limits);
    put_object(ks, "hash", OBJ_HASH, hash);
    put_string(ks, "expiring", slice_str("v"), FAR_MS);
}

static int data_set_up(void **state)
{
    struct data *d = calloc(1, sizeof(*d));
    metrics_attach(0);
    qsbr_register();
    key_hash_seed_set(46);
    config_publish(config_new());
    d->shared = keyspace_new(object_ops);
    d->ks = ks_new(d->shared, 0, 1);
    d->ks->master = true;
    d->ks->now_ms = 1;
    d->digester = digester_new();
    fill(d->ks);
    *state = d;
    return 0;
}

static int data_tear_down(void **state)
{
    struct data *d = *state;
    digester_free(d->digester);
    ks_free(d->ks);
    keyspace_free(d->shared);
    qsbr_unregister();
    free(d);
    return 0;
}

static void test_values_have_the_digests_of_redis(void **state)
{
    static const struct {
        const char *key, *digest;
    } rows[] = {
        {"string", "d59ec93db87f4cd915db3cdf44bb63755bc4a635"},
        {"number", "e1cf90774e995ae03de66e8109dc5cb9d9c2dc83"},
        {"large", "8589f5856a3b2ddebc0cace3ee67da60886c3dc6"},
        {"list", "3687ee6a3d8405a61066a04e9a6d125cbe8f574f"},
        {"intset", "4e4dbbfb8df8c7eeb0fc04e3a47096b848355db6"},
        {"set", "e8f32bbb1ad9bf537c8867de4f19fec9e001296d"},
        {"hash", "78186da816517abac4ec4b92f608dd6059a76ae9"},
        {"expiring", "311b17018163335616e089f6b951c82c477335ac"},
    };
    struct data *d = *state;
    for (size_t i = 0; i < count_of(rows); i++) {
        char text[DIGEST_TEXT_SIZE];
        struct key key = key_of(slice_str(rows[i].key));
        ks_lock(d->ks, key.slot);
        struct digest digest = digest_value(d->digester, ks_find(d->ks, &key, 0), NULL);
        ks_unlock(d->ks, key.slot);
        digest_text(&digest, text);
        assert_string_equal(text, rows[i].digest);
    }
}

struct sum {
    struct digester *digester;
    struct digest all;
};

static void sum_add(void *arg, const struct entry *e)
{
    struct sum *sum = arg;
    digest_dataset_add(sum->digester, &sum->all, e, NULL);
}

static void assert_dataset(struct data *d, const char *expected)
{
    struct sum sum = {d->digester, digest_dataset_begin(d->digester, 0)};
    uint64_t cursor = 0;
    do
        cursor = ks_scan(d->ks, cursor, 100, sum_add, &sum);
    while (cursor != 0);
    char text[DIGEST_TEXT_SIZE];
    digest_text(&sum.all, text);
    assert_string_equal(text, expected);
}

static void test_dataset_has_the_digest_of_redis(void **state)
{
    struct data *d = *state;
    assert_dataset(d, "c69ecaf77800a5f744ffefe4a7ddf65ca24c470c");
    struct key key = key_of(slice_str("expiring"));
    ks_lock(d->ks, key.slot);
    assert_true(ks_delete(d->ks, &key));
    ks_unlock(d->ks, key.slot);
    assert_dataset(d, "aacb97bac7e0ed467c9f56197637dcf550127dbe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_have_the_digests_of_redis, data_set_up,
                                        data_tear_down),
        cmocka_unit_test_setup_teardown(test_dataset_has_the_digest_of_redis, data_set_up,
                                        data_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
