#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "check.h"
#include "quicklist.h"
#include "test_values.h"

#define MODEL_MAX 3000

/* Values as malloc'ed copies in order. */
struct model {
    struct slice values[MODEL_MAX];
    size_t count;
};

static struct slice slice_dup(struct slice s)
{
    uint8_t *copy = malloc(s.len + 1);
    assert_non_null(copy);
    memcpy(copy, s.data, s.len);
    return slice_from(copy, s.len);
}

static void slice_drop(struct slice s)
{
    free((void *)(uintptr_t)s.data);
}

static void model_insert(struct model *m, size_t at, struct slice value)
{
    assert_true(m->count < MODEL_MAX);
    memmove(&m->values[at + 1], &m->values[at], (m->count - at) * sizeof(value));
    m->values[at] = slice_dup(value);
    m->count++;
}

static void model_delete(struct model *m, size_t at, size_t n)
{
    for (size_t i = at; i < at + n; i++)
        slice_drop(m->values[i]);
    memmove(&m->values[at], &m->values[at + n], (m->count - at - n) * sizeof(m->values[0]));
    m->count -= n;
}

static void model_clear(struct model *m)
{
    model_delete(m, 0, m->count);
}

static void assert_model(const struct model *m, const struct quicklist *q)
{
    char buf[NUMBER_TEXT_SIZE];
    quicklist_validate(q);
    assert_int_equal(q->count, m->count);
    struct quicklist_pos at = quicklist_seek(q, 0);
    for (size_t i = 0; i < m->count; i++, at = quicklist_next(at)) {
        assert_non_null(at.node);
        assert_true(slice_equal(quicklist_get(at, buf), m->values[i]));
    }
    assert_null(at.node);
    at = quicklist_seek(q, -1);
    for (size_t i = m->count; i-- > 0; at = quicklist_prev(at))
        assert_true(slice_equal(quicklist_get(at, buf), m->values[i]));
    assert_null(at.node);
}

static void step_add(struct model *m, struct quicklist *q, struct slice v, struct rng *rng,
                     int fill)
{
    size_t at = m->count ? rng_below(rng, m->count) : 0;
    uint64_t op = m->count ? rng_below(rng, 5) : 0;
    if (op < 2) {
        assert_true(quicklist_push(q, v, op == 0, fill));
        model_insert(m, op == 0 ? 0 : m->count, v);
    } else if (op < 4) {
        bool after = op == 3;
        assert_true(quicklist_insert(q, quicklist_seek(q, (int64_t)at), v, after, fill));
        model_insert(m, at + after, v);
    } else {
        assert_true(quicklist_replace(q, quicklist_seek(q, (int64_t)at), v, fill));
        model_delete(m, at, 1);
        model_insert(m, at, v);
    }
}

static void step_delete(struct model *m, struct quicklist *q, struct rng *rng)
{
    size_t at = rng_below(rng, m->count);
    if (rng_below(rng, 3) == 0) {
        size_t n = 1 + rng_below(rng, m->count / 4 + 1);
        quicklist_delete_range(q, quicklist_seek(q, (int64_t)at), n);
        model_delete(m, at, n < m->count - at ? n : m->count - at);
        return;
    }
    char buf[NUMBER_TEXT_SIZE];
    bool forward = rng_below(rng, 2);
    struct quicklist_pos next = quicklist_delete(q, quicklist_seek(q, (int64_t)at), forward);
    model_delete(m, at, 1);
    size_t expected = forward ? at : at - 1;
    if (expected < m->count)
        assert_true(slice_equal(quicklist_get(next, buf), m->values[expected]));
    else
        assert_null(next.node);
}

static void test_random_changes_against_a_model(void **state)
{
    static const int fills[] = {-1, -2, -5, 1, 0, 3, 128};
    static struct model m;
    static struct test_value v;
    for (size_t f = 0; f < count_of(fills); f++) {
        struct rng rng;
        rng_seed(&rng, 20 + f);
        struct quicklist q;
        quicklist_init(&q);
        for (unsigned i = 0; i < 3000; i++) {
            bool grow = i / 500 % 2 == 0 && m.count < MODEL_MAX - 1;
            test_value_random(&v, &rng, rng_below(&rng, 30) ? 60 : TEST_VALUE_MAX);
            if (m.count == 0 || rng_below(&rng, 10) < (grow ? 9 : 4))
                step_add(&m, &q, test_slice(&v), &rng, fills[f]);
            else
                step_delete(&m, &q, &rng);
            quicklist_validate(&q);
            if (i % 100 == 0)
                assert_model(&m, &q);
        }
        assert_model(&m, &q);
        quicklist_clear(&q);
        assert_int_equal(q.mem_bytes, 0);
        assert_int_equal(q.count, 0);
        model_clear(&m);
    }
}

static void test_nodes_keep_to_their_limits(void **state)
{
    static uint8_t big[9000];
    struct quicklist q;
    quicklist_init(&q);
    for (unsigned i = 0; i < 10; i++)
        assert_true(quicklist_push(&q, slice_str("x"), false, 4));
    assert_int_equal(q.node_count, 3);
    assert_int_equal(q.head->count, 4);
    quicklist_clear(&q);
    for (unsigned i = 0; i < 20000; i++)
        assert_true(quicklist_push(&q, slice_str("0123456789"), false, -2));
    for (struct quicklist_node *n = q.head; n->next; n = n->next)
        assert_in_range(n->bytes, 8150, 8192);
    assert_true(quicklist_push(&q, slice_from(big, sizeof(big)), true, -2));
    assert_true(q.head->plain);
    assert_int_equal(q.head->bytes, sizeof(big));
    quicklist_clear(&q);
}

static void test_clearing_goes_in_bounded_pieces(void **state)
{
    struct quicklist q;
    quicklist_init(&q);
    for (unsigned i = 0; i < 100; i++)
        assert_true(quicklist_push(&q, slice_str("x"), false, 1));
    unsigned calls = 1;
    while (!quicklist_clear_some(&q, 10))
        calls++;
    assert_int_equal(calls, 10 + 0);
    assert_null(q.head);
}

static void test_copy_is_equal_and_apart(void **state)
{
    static struct model m;
    static struct test_value v;
    struct rng rng;
    rng_seed(&rng, 40);
    struct quicklist q, copy;
    quicklist_init(&q);
    quicklist_init(&copy);
    for (unsigned i = 0; i < 500; i++) {
        test_value_random(&v, &rng, i % 50 ? 60 : 20000);
        assert_true(quicklist_push(&q, test_slice(&v), false, -2));
        model_insert(&m, m.count, test_slice(&v));
    }
    assert_true(quicklist_copy(&q, &copy, NULL));
    quicklist_clear(&q);
    assert_model(&m, &copy);
    quicklist_clear(&copy);
    model_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_nodes_keep_to_their_limits),
        cmocka_unit_test(test_clearing_goes_in_bounded_pieces),
        cmocka_unit_test(test_copy_is_equal_and_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
