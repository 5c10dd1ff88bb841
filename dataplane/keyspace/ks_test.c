#include "ks_test.h"
#include <sched.h>

int toys_alive;

struct toy *toy_new(size_t count)
{
    struct toy *toy = malloc(sizeof(*toy));
    assert_non_null(toy);
    toy->count = count;
    toys_alive++;
    return toy;
}

static bool toy_free_some(void *object, enum obj_encoding enc, uint32_t budget)
{
    struct toy *toy = object;
    if (toy->count > budget) {
        toy->count -= budget;
        return false;
    }
    free(toy);
    toys_alive--;
    return true;
}

static size_t toy_mem_bytes(const void *object, enum obj_encoding enc, uint32_t samples)
{
    return sizeof(struct toy) + ((const struct toy *)object)->count * 16;
}

static size_t toy_count(const void *object, enum obj_encoding enc)
{
    return ((const struct toy *)object)->count;
}

static const struct object_ops ops = {toy_free_some, toy_mem_bytes, toy_count};
const struct object_ops *const toy_ops[OBJ_TYPES] = {NULL, &ops, &ops, &ops, &ops, &ops, &ops};

void test_config(const char *name, const char *value)
{
    struct config *config = config_copy(config_get());
    struct slice word = slice_str(value);
    char err[CONFIG_ERROR_SIZE];
    assert_true(config_set(config, slice_str(name), &word, 1, true, err));
    config_publish(config);
}

int ks_setup(void **state)
{
    struct ks_fixture *f = calloc(1, sizeof(*f));
    metrics_attach(0);
    qsbr_register();
    config_publish(config_new());
    f->k = keyspace_new(toy_ops);
    f->ks = ks_new(f->k, 0, 42);
    f->ks->now_ms = 1700000000000;
    *state = f;
    return 0;
}

int ks_teardown(void **state)
{
    struct ks_fixture *f = *state;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_root(f->k, (uint16_t)slot))
            test_validate(f->ks, (uint16_t)slot);
    ks_free(f->ks);
    assert_int_equal(ks_retired_bytes(f->k), 0);
    keyspace_free(f->k);
    assert_int_equal(toys_alive, 0);
    qsbr_unregister();
    free(f);
    return 0;
}

static struct slice text_of(const char *format, va_list args)
{
    static _Thread_local char ring[8][256];
    static _Thread_local unsigned next;
    char *text = ring[next++ % 8];
    int len = vsnprintf(text, sizeof(ring[0]), format, args);
    return slice_from(text, (size_t)len);
}

struct key test_key(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct key key = key_of(text_of(format, args));
    va_end(args);
    return key;
}

struct key test_key_in(uint16_t slot, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct slice name = text_of(format, args);
    va_end(args);
    return (struct key){name, key_hash(name), slot};
}

void test_set(struct ks *ks, struct key key, const char *value, int64_t expiry_ms)
{
    struct entry *e = ks_entry_string(ks, &key, slice_str(value), expiry_ms);
    assert_non_null(e);
    ks_lock(ks, key.slot);
    ks_put(ks, &key, e);
    ks_unlock(ks, key.slot);
}

bool test_del(struct ks *ks, struct key key)
{
    ks_lock(ks, key.slot);
    bool deleted = ks_delete(ks, &key);
    ks_unlock(ks, key.slot);
    return deleted;
}

bool test_is(struct ks *ks, struct key key, const char *value)
{
    const struct entry *e = ks_get(ks, &key, 0);
    if (!e || !value)
        return !e && !value;
    return slice_equal(entry_key(e), key.name) && slice_equal(entry_string(e), slice_str(value));
}

void test_validate(struct ks *ks, uint16_t slot)
{
    ks_lock(ks, slot);
    ks_validate_slot(ks, slot);
    ks_unlock(ks, slot);
}

void test_drain(struct ks *ks)
{
    while (ks_reclaim(ks, true, 1000)) {
        qsbr_quiescent();
        qsbr_offline();
        sched_yield();
        qsbr_online();
    }
}
