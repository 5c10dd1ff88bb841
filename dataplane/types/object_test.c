#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "check.h"
#include "hash.h"
#include "keyhash.h"
#include "list.h"
#include "object.h"
#include "set.h"

static const struct type_limits limits = {.hash_listpack_entries = 8,
                                          .hash_listpack_value_bytes = 16,
                                          .set_intset_entries = 8,
                                          .list_listpack_size = 2};

static void *object_of(enum obj_type type, unsigned count)
{
    void *object = type == OBJ_HASH   ? (void *)hash_new()
                   : type == OBJ_LIST ? (void *)list_new()
                                      : set_new();
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        struct slice s = slice_from(text, (size_t)snprintf(text, sizeof(text), "%u", i));
        if (type == OBJ_HASH)
            assert_int_equal(hash_set(object, s, s, &limits), HASH_ADDED);
        else if (type == OBJ_LIST)
            assert_true(quicklist_push(&((struct list *)object)->elements, s, false, 2));
        else
            assert_int_equal(set_add(object, s, &limits), SET_ADDED);
    }
    return object;
}

static const enum obj_type types[] = {OBJ_HASH, OBJ_LIST, OBJ_SET};

static void test_large_objects_are_freed_in_pieces(void **state)
{
    for (size_t t = 0; t < count_of(types); t++) {
        const struct object_ops *ops = object_ops[types[t]];
        void *object = object_of(types[t], 1000);
        enum obj_encoding enc = object_encoding(types[t], object);
        assert_true(ops->count(object, enc) >= 500);
        unsigned calls = 1;
        while (!ops->free_some(object, enc, 50))
            calls++;
        assert_in_range(calls, 10, 40);
    }
}

static void test_small_objects_are_freed_at_once(void **state)
{
    for (size_t t = 0; t < count_of(types); t++) {
        void *object = object_of(types[t], 5);
        assert_int_equal(object_count(types[t], object), 5);
        assert_true(object_ops[types[t]]->free_some(object, object_encoding(types[t], object), 16));
    }
}

static void test_size_is_tracked_and_copies_have_the_same(void **state)
{
    for (size_t t = 0; t < count_of(types); t++) {
        void *small = object_of(types[t], 3), *large = object_of(types[t], 500);
        void *copy = object_copy(types[t], large, NULL);
        assert_true(object_mem_bytes(types[t], large) > object_mem_bytes(types[t], small) + 1000);
        assert_int_equal(object_count(types[t], copy), 500);
        assert_int_equal(object_encoding(types[t], copy), object_encoding(types[t], large));
        assert_int_equal(object_mem_bytes(types[t], copy), object_mem_bytes(types[t], large));
        object_free(types[t], small);
        object_free(types[t], large);
        object_free(types[t], copy);
    }
}

static void test_strings_and_later_types_have_no_row(void **state)
{
    assert_null(object_ops[OBJ_STRING]);
    assert_null(object_ops[OBJ_MODULE]);
}

int main(void)
{
    key_hash_seed_set(45);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_objects_are_freed_in_pieces),
        cmocka_unit_test(test_small_objects_are_freed_at_once),
        cmocka_unit_test(test_size_is_tracked_and_copies_have_the_same),
        cmocka_unit_test(test_strings_and_later_types_have_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
