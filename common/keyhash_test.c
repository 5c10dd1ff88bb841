#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "keyhash.h"
#include "rng.h"

static uint16_t slot(const char *key)
{
    return key_slot(slice_str(key));
}

static void test_crc16_known_values(void **state)
{
    assert_int_equal(crc16((const uint8_t *)"123456789", 9), 0x31c3);
    assert_int_equal(crc16((const uint8_t *)"", 0), 0);
}

/* One bit at a time, straight from the definition of CRC16/XMODEM. */
static uint16_t crc16_bitwise(const uint8_t *data, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len * 8; i++) {
        unsigned bit = (data[i / 8] >> (7 - i % 8) & 1u) ^ (crc >> 15 & 1u);
        crc = crc << 1 & 0xffff;
        if (bit)
            crc ^= 0x1021;
    }
    return (uint16_t)crc;
}

static void test_crc16_equals_definition(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    uint8_t data[100];
    for (int i = 0; i < 2000; i++) {
        size_t len = rng_below(&rng, sizeof(data) + 1);
        for (size_t j = 0; j < len; j++)
            data[j] = (uint8_t)rng_next(&rng);
        assert_int_equal(crc16(data, len), crc16_bitwise(data, len));
    }
}

static void test_slot_known_values(void **state)
{
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot("bar"), 5061);
    assert_int_equal(slot(""), 0);
    assert_int_equal(key_slot(slice_from(NULL, 0)), 0);
}

static uint16_t slot_of_whole(const char *key)
{
    return crc16((const uint8_t *)key, strlen(key)) % SLOTS;
}

static void test_slot_hash_tags(void **state)
{
    assert_int_equal(slot("{user1000}.following"), slot("{user1000}.followers"));
    assert_int_equal(slot("{user1000}.following"), slot_of_whole("user1000"));
    assert_int_equal(slot("foo{}{bar}"), slot_of_whole("foo{}{bar}"));
    assert_int_equal(slot("foo{{bar}}zap"), slot_of_whole("{bar"));
    assert_int_equal(slot("foo{bar}{zap}"), slot_of_whole("bar"));
    assert_int_equal(slot("foo{bar"), slot_of_whole("foo{bar"));
    assert_int_equal(slot("foo}bar{"), slot_of_whole("foo}bar{"));
    assert_int_equal(slot("}{a}"), slot_of_whole("a"));
}

static void test_hash_depends_on_seed_and_every_byte(void **state)
{
    struct slice key = slice_str("a key that is longer than sixteen bytes");
    key_hash_seed_set(1);
    uint64_t first = key_hash(key);
    assert_int_equal(first, key_hash(key));
    key_hash_seed_set(2);
    assert_int_not_equal(first, key_hash(key));
    for (size_t len = 0; len < key.len; len++)
        assert_int_not_equal(key_hash(slice_from(key.data, len)), key_hash(key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc16_known_values),
        cmocka_unit_test(test_crc16_equals_definition),
        cmocka_unit_test(test_slot_known_values),
        cmocka_unit_test(test_slot_hash_tags),
        cmocka_unit_test(test_hash_depends_on_seed_and_every_byte),
    };
    return cmocka_run_group_tests_name("keyhash", tests, NULL, NULL);
}
