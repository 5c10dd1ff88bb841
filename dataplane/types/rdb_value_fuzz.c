/* Untrusted bytes as a value of RDB, as RESTORE, full syncs and files bring them: what is taken
 * must be sound, come back from what it is written as, and not depend on how the bytes were cut.
 *
 * Input: how much each window adds, less one (1 byte); the type (1); the value. */
#include <stdlib.h>
#include "check.h"
#include "hash.h"
#include "list.h"
#include "rdb_value.h"
#include "set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct type_limits limits = {
    .hash_listpack_entries = 16,
    .hash_listpack_value_bytes = 32,
    .set_intset_entries = 16,
    .list_listpack_size = 8,
};

/* What compressed bytes may become: the fuzzer's memory is not the point. */
#define STRING_MAX (1u << 20)

static enum rdb_result decode(struct rdb_decoder *d, struct slice bytes, size_t step)
{
    struct rdb_reader r = {.string_max = STRING_MAX};
    size_t begin = 1, end = step ? 1 : bytes.len;
    rdb_decoder_init(d, bytes.data[0], &limits);
    for (;;) {
        r.in = slice_from(bytes.data + begin, end - begin);
        r.last = end == bytes.len;
        r.budget = step ? 64 : 65536;
        enum rdb_result result = rdb_decoder_step(d, &r);
        CHECK(result != RDB_MORE || !r.last);
        CHECK(result != RDB_MORE || r.in.len < RDB_ATOM_MAX);
        begin = end - r.in.len;
        if (result == RDB_MORE)
            end = step < bytes.len - end ? end + step : bytes.len;
        else if (result != RDB_PAUSE)
            return result == RDB_DONE && begin < bytes.len ? RDB_INVALID : result;
    }
}

static void validate(const struct rdb_value *v)
{
    if (v->type == OBJ_LIST)
        quicklist_validate(&((struct list *)v->object)->elements);
    else if (v->type == OBJ_SET)
        set_validate(v->object);
    else if (v->type == OBJ_HASH)
        hash_validate(v->object);
    CHECK(v->type == OBJ_STRING || object_count(v->type, v->object) > 0);
}

static size_t value_size(const struct rdb_value *v)
{
    if (v->type == OBJ_STRING)
        return v->big ? bigstr_len(v->big) : v->text.len;
    return object_count(v->type, v->object);
}

static void value_free(struct rdb_value *v)
{
    if (v->object)
        object_free(v->type, v->object);
    if (v->big)
        bigstr_put(v->big);
}

static struct slice encode(const struct rdb_value *v)
{
    struct outbuf out;
    struct outbuf_cursor cursor;
    struct rdb_encoder e;
    struct rdb_writer w = {.out = &out, .compress = true};
    outbuf_init(&out);
    rdb_write_byte(&w, rdb_value_type(v));
    rdb_encoder_init(&e, v);
    while (!rdb_encoder_step(&e, &w, 100))
        continue;
    rdb_encoder_fini(&e);
    size_t len = out.len;
    uint8_t *bytes = malloc(len);
    CHECK(bytes);
    outbuf_cursor_reset(&out, &cursor);
    outbuf_copy(&out, &cursor, bytes, len);
    outbuf_clear(&out);
    return slice_from(bytes, len);
}

static void there_and_back(const struct rdb_value *v)
{
    struct rdb_decoder d;
    struct rdb_value again;
    struct slice bytes = encode(v);
    CHECK(decode(&d, bytes, 0) == RDB_DONE);
    rdb_decoder_take(&d, &again);
    validate(&again);
    CHECK(again.type == v->type && value_size(&again) == value_size(v));
    value_free(&again);
    rdb_decoder_fini(&d);
    free((void *)(uintptr_t)bytes.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rdb_decoder whole, cut;
    struct rdb_value v, other;
    if (size < 2)
        return 0;
    struct slice bytes = slice_from(data + 1, size - 1);
    enum rdb_result result = decode(&whole, bytes, 0);
    CHECK(decode(&cut, bytes, (size_t)data[0] + 1) == result);
    rdb_decoder_take(&whole, &v);
    rdb_decoder_take(&cut, &other);
    if (result == RDB_DONE) {
        validate(&v);
        validate(&other);
        CHECK(value_size(&v) == value_size(&other));
        there_and_back(&v);
    }
    value_free(&v);
    value_free(&other);
    rdb_decoder_fini(&whole);
    rdb_decoder_fini(&cut);
    return 0;
}
