/* Every allocation of every change fails once: the object must be valid and hold what it held (or,
 * where the contract says so, a compact form past its limit), and nothing may leak. The test puts
 * its own malloc before the allocator's, so it is not built with sanitizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "hash.h"
#include "keyhash.h"
#include "list.h"
#include "set.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static unsigned countdown; /* 0: nothing fails; n: the n-th allocation from now on */
static bool failed;
static long outstanding;

static bool allocation_fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

void *malloc(size_t size)
{
    if (allocation_fails())
        return NULL;
    outstanding++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (allocation_fails())
        return NULL;
    outstanding++;
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    if (allocation_fails())
        return NULL;
    outstanding += p == NULL;
    return __libc_realloc(p, size);
}

void free(void *p)
{
    outstanding -= p != NULL;
    __libc_free(p);
}

static const struct type_limits limits = {.hash_listpack_entries = 4,
                                          .hash_listpack_value_bytes = 20,
                                          .set_intset_entries = 4,
                                          .list_listpack_size = -1};
static uint8_t long_value[5000];

/* One change to an object of `before` elements; done says whether it took place, and `added` what
 * it adds. */
struct change {
    enum obj_type type;
    unsigned before;
    bool (*apply)(void *object);
    unsigned added;
};

static void element_add(enum obj_type type, void *object, unsigned n)
{
    char text[16];
    struct slice s = slice_from(text, (size_t)snprintf(text, sizeof(text), "%u", n));
    if (type == OBJ_HASH)
        assert_int_equal(hash_set(object, s, s, &limits), HASH_ADDED);
    else if (type == OBJ_SET)
        assert_int_equal(set_add(object, s, &limits), SET_ADDED);
    else
        assert_true(quicklist_push(&((struct list *)object)->elements, s, false, -1));
}

static void *object_of(enum obj_type type, unsigned count)
{
    void *object = type == OBJ_HASH  ? (void *)hash_new()
                   : type == OBJ_SET ? (void *)set_new()
                                     : list_new();
    for (unsigned i = 0; i < count; i++)
        element_add(type, object, i);
    return object;
}

static void object_validate(enum obj_type type, void *object)
{
    if (type == OBJ_HASH)
        hash_validate(object);
    else if (type == OBJ_SET)
        set_validate(object);
    else
        quicklist_validate(&((struct list *)object)->elements);
}

static bool hash_add_short(void *object)
{
    return hash_set(object, slice_str("f"), slice_str("v"), &limits) != HASH_NO_MEMORY;
}

static bool hash_add_long(void *object)
{
    return hash_set(object, slice_str("f"), slice_from(long_value, 100), &limits) != HASH_NO_MEMORY;
}

static bool hash_update(void *object)
{
    return hash_set(object, slice_str("1"), slice_str("longer"), &limits) != HASH_NO_MEMORY;
}

static bool set_add_number(void *object)
{
    return set_add(object, slice_str("70000"), &limits) != SET_NO_MEMORY;
}

static bool set_add_text(void *object)
{
    return set_add(object, slice_str("text"), &limits) != SET_NO_MEMORY;
}

static struct quicklist *elements_of(void *object)
{
    return &((struct list *)object)->elements;
}

static bool list_push_short(void *object)
{
    return quicklist_push(elements_of(object), slice_str("x"), true, -1);
}

static bool list_push_long(void *object)
{
    return quicklist_push(elements_of(object), slice_from(long_value, 5000), true, -1);
}

static bool list_insert_long(void *object)
{
    struct quicklist *q = elements_of(object);
    return quicklist_insert(q, quicklist_seek(q, 2), slice_from(long_value, 5000), true, -1);
}

static bool list_insert_middle(void *object)
{
    struct quicklist *q = elements_of(object);
    return quicklist_insert(q, quicklist_seek(q, 1), slice_from(long_value, 4000), false, -1);
}

static bool list_replace_long(void *object)
{
    struct quicklist *q = elements_of(object);
    return quicklist_replace(q, quicklist_seek(q, 1), slice_from(long_value, 5000), -1);
}

static bool copy_of(enum obj_type type, void *object)
{
    void *copy = object_copy(type, object, NULL);
    if (copy)
        object_free(type, copy);
    return copy;
}

static bool hash_copies(void *object)
{
    return copy_of(OBJ_HASH, object);
}

static bool set_copies(void *object)
{
    return copy_of(OBJ_SET, object);
}

static bool list_copies(void *object)
{
    return copy_of(OBJ_LIST, object);
}

static const struct change changes[] = {
    {OBJ_HASH, 2, hash_add_short, 1},
    {OBJ_HASH, 4, hash_add_short, 1},
    {OBJ_HASH, 3, hash_add_long, 1},
    {OBJ_HASH, 9, hash_add_long, 1},
    {OBJ_HASH, 16, hash_add_short, 1},
    {OBJ_HASH, 3, hash_update, 0},
    {OBJ_HASH, 9, hash_update, 0},
    {OBJ_HASH, 3, hash_copies, 0},
    {OBJ_HASH, 9, hash_copies, 0},
    {OBJ_SET, 2, set_add_number, 1},
    {OBJ_SET, 4, set_add_number, 1},
    {OBJ_SET, 3, set_add_text, 1},
    {OBJ_SET, 16, set_add_text, 1},
    {OBJ_SET, 3, set_copies, 0},
    {OBJ_SET, 9, set_copies, 0},
    {OBJ_LIST, 3, list_push_short, 1},
    {OBJ_LIST, 3, list_push_long, 1},
    {OBJ_LIST, 6, list_insert_long, 1},
    {OBJ_LIST, 200, list_insert_middle, 1},
    {OBJ_LIST, 6, list_replace_long, 0},
    {OBJ_LIST, 6, list_copies, 0},
};

/* Fails the n-th allocation of the change; false: it has no n-th. */
static bool change_fails(const struct change *change, unsigned n)
{
    long baseline = outstanding;
    void *object = object_of(change->type, change->before);
    countdown = n;
    failed = false;
    bool done = change->apply(object);
    countdown = 0;
    bool injected = failed;
    assert_true(done || injected);
    object_validate(change->type, object);
    assert_int_equal(object_count(change->type, object),
                     change->before + (done ? change->added : 0));
    /* It works when there is memory again. */
    if (!done)
        assert_true(change->apply(object));
    object_validate(change->type, object);
    assert_int_equal(object_count(change->type, object), change->before + change->added);
    object_free(change->type, object);
    assert_int_equal(outstanding, baseline);
    return injected;
}

static void test_no_change_is_lost_or_half_done(void **state)
{
    for (size_t i = 0; i < count_of(changes); i++) {
        unsigned n = 1;
        while (change_fails(&changes[i], n))
            n++;
        assert_true(n > 1);
    }
}

static void test_new_objects(void **state)
{
    for (unsigned n = 1; n <= 2; n++) {
        long baseline = outstanding;
        countdown = n;
        assert_null(hash_new());
        countdown = n;
        assert_null(set_new());
        countdown = 1;
        assert_null(list_new());
        assert_int_equal(outstanding, baseline);
    }
}

int main(void)
{
    key_hash_seed_set(47);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_change_is_lost_or_half_done),
        cmocka_unit_test(test_new_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
