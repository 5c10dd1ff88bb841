#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "outbuf.h"
#include "rng.h"

static int released;

static void count_release(void *arg)
{
    released += *(int *)arg;
}

static void expect_bytes(const struct outbuf *out, const char *text)
{
    uint8_t buf[64];
    struct outbuf_cursor cursor;
    assert_int_equal(out->len, strlen(text));
    outbuf_cursor_reset(out, &cursor);
    outbuf_copy(out, &cursor, buf, out->len);
    assert_memory_equal(buf, text, strlen(text));
}

static void test_empty_holds_nothing(void **state)
{
    struct outbuf out;
    outbuf_init(&out);
    struct outbuf_cursor cursor;
    outbuf_cursor_reset(&out, &cursor);
    assert_int_equal(outbuf_peek(&out, &cursor).len, 0);
    outbuf_append(&out, NULL, 0);
    outbuf_append(&out, "abc", 3);
    /* A cursor of the empty queue finds what came since. */
    assert_int_equal(outbuf_peek(&out, &cursor).len, 3);
    assert_true(out.mem_bytes <= 512);
    outbuf_drop(&out, 3);
    assert_int_equal(out.mem_bytes, 0);
    assert_int_equal(out.block_count, 0);
    assert_null(out.head);
    outbuf_clear(&out);
}

static void test_reserve_exact_is_contiguous(void **state)
{
    struct outbuf out;
    outbuf_init(&out);
    outbuf_append(&out, "x", 1);
    uint8_t *at = outbuf_reserve_exact(&out, OUTBUF_EXACT_MAX);
    memset(at, 'y', OUTBUF_EXACT_MAX);
    outbuf_commit(&out, OUTBUF_EXACT_MAX);
    assert_int_equal(out.len, OUTBUF_EXACT_MAX + 1);
    struct outbuf_cursor cursor;
    outbuf_seek(&out, &cursor, 1);
    assert_ptr_equal(outbuf_peek(&out, &cursor).data, at);
    size_t got;
    outbuf_reserve(&out, 1000000, &got);
    assert_true(got >= 1);
    outbuf_commit(&out, 0);
    assert_int_equal(out.len, OUTBUF_EXACT_MAX + 1);
    outbuf_clear(&out);
}

static void test_truncate_replaces_a_reply(void **state)
{
    struct outbuf out;
    outbuf_init(&out);
    outbuf_append(&out, "+OK\r\n", 5);
    size_t before = out.len;
    char big[30000] = {0};
    outbuf_append(&out, big, sizeof(big));
    outbuf_truncate(&out, out.len - before);
    outbuf_append(&out, "-ERR\r\n", 6);
    expect_bytes(&out, "+OK\r\n-ERR\r\n");
    outbuf_truncate(&out, out.len);
    assert_int_equal(out.mem_bytes, 0);
}

static void test_reference_is_released_once(void **state)
{
    struct outbuf out;
    outbuf_init(&out);
    int one = 1;
    released = 0;
    outbuf_append(&out, "ab", 2);
    outbuf_append_ref(&out, (const uint8_t *)"cdef", 4, count_release, &one);
    outbuf_append(&out, "gh", 2);
    expect_bytes(&out, "abcdefgh");
    outbuf_drop(&out, 5);
    assert_int_equal(released, 0);
    outbuf_drop(&out, 1);
    assert_int_equal(released, 1);
    expect_bytes(&out, "gh");
    outbuf_drop(&out, 1);
    outbuf_clear(&out);
    assert_int_equal(released, 1);
    outbuf_append_ref(&out, (const uint8_t *)"cdef", 4, count_release, &one);
    outbuf_clear(&out);
    assert_int_equal(released, 2);
    outbuf_append_ref(&out, NULL, 0, count_release, &one);
    assert_int_equal(released, 3);
}

/* The transport has sent everything, then more is written, then the first part is acknowledged: the
 * cursor stands exactly at the front. */
static void test_cursor_at_the_front_stays_valid(void **state)
{
    struct outbuf out;
    outbuf_init(&out);
    size_t got;
    outbuf_reserve(&out, 1, &got);
    size_t first = outbuf_tail_room(&out);
    char fill[512] = {0};
    outbuf_append(&out, fill, first);
    struct outbuf_cursor cursor;
    outbuf_seek(&out, &cursor, first);
    outbuf_append(&out, "next", 4);
    outbuf_drop(&out, first);
    uint8_t buf[4];
    outbuf_copy(&out, &cursor, buf, 4);
    assert_memory_equal(buf, "next", 4);
    outbuf_clear(&out);
}

#define MODEL_SIZE (1 << 18)

/* The queue as a plain array. */
struct model {
    uint8_t bytes[MODEL_SIZE];
    bool copied[MODEL_SIZE]; /* may be truncated */
    size_t len;
    size_t cursor;
    int refs_live;
};

struct ref {
    struct model *model;
    uint8_t data[];
};

static void ref_free(void *arg)
{
    struct ref *ref = arg;
    ref->model->refs_live--;
    free(ref);
}

static void fill_random(struct rng *rng, uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)rng_next(rng);
}

static size_t random_len(struct rng *rng)
{
    static const size_t limits[] = {8, 100, 600, 5000, 40000};
    return rng_below(rng, limits[rng_below(rng, 5)]);
}

static void model_add(struct model *model, const uint8_t *data, size_t len, bool copied)
{
    memcpy(model->bytes + model->len, data, len);
    memset(model->copied + model->len, copied, len);
    model->len += len;
}

static void step_write(struct outbuf *out, struct model *model, struct rng *rng)
{
    static uint8_t data[40000];
    size_t len = random_len(rng);
    if (model->len + len > MODEL_SIZE)
        return;
    fill_random(rng, data, len);
    switch (rng_below(rng, 5)) {
    case 0:
        outbuf_append(out, data, len);
        model_add(model, data, len, true);
        break;
    case 4: {
        struct outbuf aside;
        outbuf_init(&aside);
        outbuf_append(&aside, data, len / 2);
        outbuf_append(&aside, data + len / 2, len - len / 2);
        outbuf_splice(out, &aside);
        model_add(model, data, len, true);
        break;
    }
    case 1: {
        struct ref *ref = malloc(sizeof(*ref) + len);
        ref->model = model;
        memcpy(ref->data, data, len);
        model->refs_live++;
        outbuf_append_ref(out, ref->data, len, ref_free, ref);
        model_add(model, data, len, false);
        break;
    }
    case 2: {
        size_t want = len % OUTBUF_EXACT_MAX + 1;
        uint8_t *dst = outbuf_reserve_exact(out, want);
        size_t used = len < want ? len : want / 2;
        memcpy(dst, data, used);
        outbuf_commit(out, used);
        model_add(model, data, used, true);
        break;
    }
    default: {
        size_t got;
        uint8_t *dst = outbuf_reserve(out, len + 1, &got);
        assert_in_range(got, 1, len + 1);
        size_t used = got < len ? got : len;
        memcpy(dst, data, used);
        outbuf_commit(out, used);
        model_add(model, data, used, true);
        break;
    }
    }
}

static void step_drop(struct outbuf *out, struct outbuf_cursor *cursor, struct model *model,
                      struct rng *rng)
{
    size_t len = random_len(rng);
    if (len > model->len || rng_below(rng, 50) == 0)
        len = model->len;
    outbuf_drop(out, len);
    model->len -= len;
    memmove(model->bytes, model->bytes + len, model->len);
    memmove(model->copied, model->copied + len, model->len);
    if (model->cursor < len || model->len == 0) {
        outbuf_cursor_reset(out, cursor);
        model->cursor = 0;
    } else {
        model->cursor -= len;
    }
}

static void step_truncate(struct outbuf *out, struct outbuf_cursor *cursor, struct model *model,
                          struct rng *rng)
{
    /* Only what was not sent yet, and no references. */
    size_t most = 0;
    while (model->len - most > model->cursor && model->copied[model->len - most - 1])
        most++;
    size_t len = rng_below(rng, most + 1);
    outbuf_truncate(out, len);
    model->len -= len;
    if (model->len == 0)
        outbuf_cursor_reset(out, cursor);
}

static void step_read(struct outbuf *out, struct outbuf_cursor *cursor, struct model *model,
                      struct rng *rng)
{
    static uint8_t data[40000];
    if (rng_below(rng, 4) == 0) {
        model->cursor = rng_below(rng, model->len + 1);
        outbuf_seek(out, cursor, model->cursor);
    }
    struct slice piece = outbuf_peek(out, cursor);
    assert_true(piece.len <= model->len - model->cursor);
    assert_true(piece.len > 0 || model->cursor == model->len);
    if (piece.len > 0)
        assert_memory_equal(piece.data, model->bytes + model->cursor, piece.len);
    size_t len = random_len(rng);
    if (len > model->len - model->cursor)
        len = model->len - model->cursor;
    outbuf_copy(out, cursor, data, len);
    if (len > 0)
        assert_memory_equal(data, model->bytes + model->cursor, len);
    model->cursor += len;
}

static void expect_sums(const struct outbuf *out, const struct model *model)
{
    size_t queued = 0;
    uint32_t blocks = 0;
    for (const struct outbuf_block *b = out->head; b; b = b->next) {
        assert_ptr_equal(b->next ? b->next->prev : out->tail, b);
        queued += b->len;
        blocks++;
    }
    assert_int_equal(queued - out->head_skip, out->len);
    assert_int_equal(blocks, out->block_count);
    assert_int_equal(out->len, model->len);
    assert_true(out->mem_bytes >= out->len);
}

static void run_model(uint64_t seed)
{
    static struct model model;
    struct rng rng;
    struct outbuf out;
    struct outbuf_cursor cursor;
    rng_seed(&rng, seed);
    model.len = 0;
    model.cursor = 0;
    outbuf_init(&out);
    outbuf_cursor_reset(&out, &cursor);
    for (int i = 0; i < 3000; i++) {
        switch (rng_below(&rng, 8)) {
        case 0:
        case 1:
        case 2:
            step_write(&out, &model, &rng);
            break;
        case 3:
        case 4:
            step_drop(&out, &cursor, &model, &rng);
            break;
        case 5:
            step_truncate(&out, &cursor, &model, &rng);
            break;
        default:
            step_read(&out, &cursor, &model, &rng);
        }
        expect_sums(&out, &model);
    }
    outbuf_clear(&out);
    assert_int_equal(model.refs_live, 0);
    assert_int_equal(out.mem_bytes, 0);
}

static void test_random_operations_equal_the_model(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        run_model(seed);
}

static void test_splice_moves_bytes_in_place(void **state)
{
    struct outbuf out, aside;
    outbuf_init(&out);
    outbuf_init(&aside);
    outbuf_splice(&out, &aside);
    assert_int_equal(out.len, 0);
    outbuf_append(&out, "head ", 5);
    outbuf_append(&aside, "tail", 4);
    struct outbuf_cursor cursor;
    outbuf_cursor_reset(&aside, &cursor);
    const uint8_t *place = outbuf_peek(&aside, &cursor).data;
    outbuf_splice(&out, &aside);
    assert_int_equal(aside.len, 0);
    assert_int_equal(aside.mem_bytes, 0);
    outbuf_append(&out, "!", 1);
    uint8_t got[10];
    outbuf_cursor_reset(&out, &cursor);
    outbuf_copy(&out, &cursor, got, 10);
    assert_memory_equal(got, "head tail!", 10);
    outbuf_seek(&out, &cursor, 5);
    assert_memory_equal(place, "tail!", 5);
    outbuf_drop(&out, 10);
    assert_int_equal(out.mem_bytes, 0);
}

static void test_take_moves_bytes_out(void **state)
{
    struct outbuf out;
    uint8_t got[20000];
    outbuf_init(&out);
    assert_int_equal(outbuf_take(&out, got, sizeof(got)), 0);
    for (int i = 0; i < 3000; i++)
        outbuf_append(&out, "0123456789", 10);
    assert_int_equal(outbuf_take(&out, got, 15), 15);
    assert_memory_equal(got, "012345678901234", 15);
    assert_int_equal(outbuf_take(&out, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, "56789012", 8);
    assert_int_equal(outbuf_take(&out, got, sizeof(got)), 30000 - 15 - sizeof(got));
    assert_int_equal(out.mem_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_holds_nothing),
        cmocka_unit_test(test_reserve_exact_is_contiguous),
        cmocka_unit_test(test_truncate_replaces_a_reply),
        cmocka_unit_test(test_reference_is_released_once),
        cmocka_unit_test(test_cursor_at_the_front_stays_valid),
        cmocka_unit_test(test_splice_moves_bytes_in_place),
        cmocka_unit_test(test_take_moves_bytes_out),
        cmocka_unit_test(test_random_operations_equal_the_model),
    };
    return cmocka_run_group_tests_name("outbuf", tests, NULL, NULL);
}
