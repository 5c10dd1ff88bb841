#include "ks_test.h"
#include "bigstr.h"

#define MODEL_MAX (3u << 20)

static void assert_bytes(const struct bigstr *b, const uint8_t *want, size_t len)
{
    assert_int_equal(bigstr_len(b), len);
    for (size_t at = 0; at < len;) {
        struct slice piece = bigstr_peek(b, at);
        assert_true(piece.len > 0);
        assert_true(piece.len <= len - at);
        assert_memory_equal(piece.data, want + at, piece.len);
        at += piece.len;
    }
    assert_int_equal(bigstr_peek(b, len).len, 0);
}

static uint8_t *random_bytes(struct rng *rng, size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)rng_next(rng);
    return bytes;
}

static void test_lengths(void **state)
{
    const size_t lens[] = {0,
                           1,
                           BIGSTR_CHUNK - 1,
                           BIGSTR_CHUNK,
                           BIGSTR_CHUNK + 1,
                           63 * BIGSTR_CHUNK,
                           63 * BIGSTR_CHUNK + 1};
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < count_of(lens); i++) {
        uint8_t *bytes = random_bytes(&rng, lens[i]);
        struct bigstr *b = bigstr_new(slice_from(bytes, lens[i]));
        assert_non_null(b);
        assert_bytes(b, bytes, lens[i]);
        assert_true(bigstr_mem_bytes(b) >= lens[i]);
        assert_true(bigstr_mem_bytes(b) <= lens[i] + lens[i] / 16 + 5000);
        bigstr_put(b);
        free(bytes);
    }
}

/* Random writes against a flat buffer; every version that is still held stays as it was. */
static void test_versions(void **state)
{
    struct rng rng;
    rng_seed(&rng, 2);
    static uint8_t model[MODEL_MAX], kept_model[MODEL_MAX];
    size_t len = 5000, kept_len = 0;
    memset(model, 0, sizeof(model));
    struct bigstr *b = bigstr_new(slice_from(model, len));
    struct bigstr *kept = NULL;
    for (unsigned i = 0; i < 300; i++) {
        size_t offset =
            rng_below(&rng, 4) ? rng_below(&rng, len + 1) : rng_below(&rng, MODEL_MAX - 70000);
        size_t n = rng_below(&rng, rng_below(&rng, 3) ? 100 : 70000);
        if (offset + n > MODEL_MAX)
            n = MODEL_MAX - offset;
        uint8_t *bytes = random_bytes(&rng, n);
        struct bigstr *next = bigstr_write(b, offset, slice_from(bytes, n));
        assert_non_null(next);
        memcpy(model + offset, bytes, n);
        free(bytes);
        len = offset + n > len ? offset + n : len;
        assert_bytes(next, model, len);
        if (i % 20 == 0) {
            if (kept) {
                assert_bytes(kept, kept_model, kept_len);
                bigstr_put(kept);
            }
            kept = bigstr_get(next);
            kept_len = len;
            memcpy(kept_model, model, len);
        }
        bigstr_put(b);
        b = next;
    }
    assert_bytes(kept, kept_model, kept_len);
    bigstr_put(kept);
    bigstr_put(b);
}

static void test_append_shares(void **state)
{
    struct rng rng;
    rng_seed(&rng, 3);
    size_t len = 16u << 20;
    uint8_t *bytes = random_bytes(&rng, len);
    struct bigstr *b = bigstr_new(slice_from(bytes, len));
    struct bigstr *longer = bigstr_write(b, len, slice_str("tail"));
    size_t shared = bigstr_shared_bytes(longer, b);
    /* One chunk and the path to it are new. */
    assert_true(bigstr_mem_bytes(longer) - shared < 2 * BIGSTR_CHUNK);
    assert_int_equal(bigstr_shared_bytes(b, longer), 0);
    bigstr_put(b);
    struct slice tail = bigstr_peek(longer, len);
    assert_true(slice_equal(tail, slice_str("tail")));
    bigstr_put(longer);
    free(bytes);
}

static void test_zeros_take_no_memory(void **state)
{
    struct bigstr *b = bigstr_new(slice_str("head"));
    struct bigstr *far = bigstr_write(b, 500u << 20, slice_str("x"));
    assert_int_equal(bigstr_len(far), (500u << 20) + 1);
    assert_true(bigstr_mem_bytes(far) < 100000);
    assert_memory_equal(bigstr_peek(far, 0).data, "head", 4);
    assert_int_equal(bigstr_peek(far, 12345678).data[0], 0);
    uint8_t copy[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    bigstr_copy(far, (500u << 20) - 7, 8, copy);
    assert_memory_equal(copy, "\0\0\0\0\0\0\0x", 8);
    bigstr_put(far);
    /* Growing by nothing: the length alone. */
    struct bigstr *grown = bigstr_write(b, 1000, slice_from(NULL, 0));
    assert_int_equal(bigstr_len(grown), 1000);
    assert_int_equal(bigstr_peek(grown, 999).data[0], 0);
    bigstr_put(grown);
    bigstr_put(b);
}

static void test_limits(void **state)
{
    struct bigstr *b = bigstr_new(slice_str("x"));
    assert_null(bigstr_write(b, SIZE_MAX, slice_str("x")));
    assert_null(bigstr_write(b, SIZE_MAX / 2, slice_str("x")));
    assert_int_equal(bigstr_len(b), 1);
    bigstr_put(b);
}

static void test_put_in_pieces(void **state)
{
    struct rng rng;
    rng_seed(&rng, 4);
    size_t len = 2u << 20;
    uint8_t *bytes = random_bytes(&rng, len);
    struct bigstr *b = bigstr_new(slice_from(bytes, len));
    struct bigstr *next = bigstr_write(b, 100, slice_str("abc"));
    memcpy(bytes + 100, "abc", 3);
    unsigned calls = 0;
    for (bool gone = false; !gone; calls++) {
        uint32_t budget = 10;
        gone = bigstr_put_some(b, &budget);
    }
    /* Nearly all of it is the next version's. */
    assert_true(calls < 20);
    assert_bytes(next, bytes, len);
    calls = 0;
    for (bool gone = false; !gone; calls++) {
        uint32_t budget = 10;
        gone = bigstr_put_some(next, &budget);
    }
    assert_true(calls > len / BIGSTR_CHUNK / 10);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),       cmocka_unit_test(test_versions),
        cmocka_unit_test(test_append_shares), cmocka_unit_test(test_zeros_take_no_memory),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_put_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
