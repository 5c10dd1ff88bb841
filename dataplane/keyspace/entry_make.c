#include "bigstr.h"
#include "ks_internal.h"
#include "numbers.h"

#define EMBSTR_MAX 44
#define INT_TEXT_MAX 20

static bool entry_permitted(struct ks *ks)
{
    if (likely_false(retired_over(ks, RETIRED_ALL))) {
        metric_inc(retire_limit_hits);
        return false;
    }
    return stock_promise(&ks->p->stock);
}

static struct entry *entry_make(struct ks *ks, struct entry_spec *spec)
{
    if (!entry_permitted(ks))
        return NULL;
    spec->clock = entry_clock_new(ks_now(ks));
    struct entry *e = entry_new(spec);
    if (!e)
        stock_release(&ks->p->stock);
    return e;
}

static enum obj_encoding string_encoding(struct slice value)
{
    int64_t number;
    if (value.len <= INT_TEXT_MAX && parse_i64(value, &number))
        return ENC_INT;
    return value.len <= EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW;
}

static struct entry *string_make(struct ks *ks, const struct key *key, struct slice value,
                                 int64_t expiry_ms, enum obj_encoding enc)
{
    if (value.len > ENTRY_EMBED_MAX) {
        struct bigstr *big = bigstr_new(value);
        struct entry *e = big ? ks_entry_big(ks, key, big, expiry_ms) : NULL;
        if (big && !e)
            bigstr_put(big);
        return e;
    }
    struct entry_spec spec = {.key = key->name,
                              .type = OBJ_STRING,
                              .enc_stored = enc,
                              .expiry_ms = expiry_ms,
                              .value = value};
    return entry_make(ks, &spec);
}

struct entry *ks_entry_string(struct ks *ks, const struct key *key, struct slice value,
                              int64_t expiry_ms)
{
    return string_make(ks, key, value, expiry_ms, string_encoding(value));
}

struct entry *ks_entry_string_raw(struct ks *ks, const struct key *key, struct slice value,
                                  int64_t expiry_ms)
{
    return string_make(ks, key, value, expiry_ms, ENC_RAW);
}

struct entry *ks_entry_string_as(struct ks *ks, const struct key *key, struct slice value,
                                 int64_t expiry_ms, enum obj_encoding enc)
{
    CHECK(enc == ENC_INT || enc == ENC_EMBSTR || enc == ENC_RAW);
    return string_make(ks, key, value, expiry_ms, enc);
}

struct entry *ks_entry_big(struct ks *ks, const struct key *key, struct bigstr *big,
                           int64_t expiry_ms)
{
    struct entry_spec spec = {.key = key->name,
                              .type = OBJ_STRING,
                              .enc_stored = ENC_STORED_BIG,
                              .expiry_ms = expiry_ms,
                              .pointer = big};
    return entry_make(ks, &spec);
}

struct entry *ks_entry_object(struct ks *ks, const struct key *key, enum obj_type type,
                              enum obj_encoding enc, void *object, int64_t expiry_ms)
{
    CHECK(type != OBJ_STRING && ks->shared->ops[type]);
    struct entry_spec spec = {.key = key->name,
                              .type = type,
                              .enc_stored = enc,
                              .expiry_ms = expiry_ms,
                              .pointer = object};
    return entry_make(ks, &spec);
}

void ks_entry_discard(struct ks *ks, struct entry *e)
{
    stock_release(&ks->p->stock);
    if (entry_big(e)) /* may be much: in pieces, with what was deleted */
        retire_item(ks, RETIRE_ENTRY_VALUE, (uint64_t)(uintptr_t)e, 0, 0);
    else
        entry_free(e);
}

struct entry *entry_with_expiry(struct ks *ks, const struct entry *e, int64_t expiry_ms)
{
    if (!entry_permitted(ks))
        return NULL;
    uint32_t head = entry_head(e);
    struct entry_spec spec = {.key = entry_key(e),
                              .type = entry_type(e),
                              .enc_stored = head_enc(head),
                              .expiry_ms = expiry_ms,
                              .clock = head >> HEAD_CLOCK_SHIFT};
    if (head_is_inline(head))
        spec.value = entry_string(e);
    else
        spec.pointer = spec.type == OBJ_STRING ? (void *)entry_big(e) : entry_object(e);
    struct entry *copy = entry_new(&spec);
    if (!copy)
        stock_release(&ks->p->stock);
    return copy;
}
