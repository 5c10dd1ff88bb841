/* Row 4 of README.md: initial sequence numbers. */
#include "test_cmocka.h"
#include <string.h>
#include "tcp_isn.h"
#include "tcp_seq.h"

static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static struct flow_tuple tuple_of(uint32_t remote, uint16_t port)
{
    return (struct flow_tuple){.remote = ip_addr_from4(remote),
                               .local = ip_addr_from4(0x01004d0a),
                               .remote_port = port,
                               .local_port = 6379};
}

/* The test vectors of the paper's authors: key 00 .. 0f, data 00 01 02 ... */
static void test_siphash_vectors(void **state)
{
    const struct {
        uint32_t len;
        uint64_t hash;
    } vectors[] = {{0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
                   {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {16, 0x3f2acc7f57c29bdb}};
    uint8_t data[16];
    for (uint8_t i = 0; i < sizeof(data); i++)
        data[i] = i;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_true(tcp_siphash(key, data, vectors[i].len) == vectors[i].hash);
}

static void test_row04_per_tuple_monotone_with_the_clock(void **state)
{
    struct flow_tuple t = tuple_of(0x02004d0a, 40000);
    uint32_t before = tcp_isn(key, &t, 1000000);
    assert_int_equal(tcp_isn(key, &t, 1000003), before);
    assert_int_equal(tcp_isn(key, &t, 1000004), before + 1);
    assert_int_equal(tcp_isn(key, &t, 2000000), before + 250000);
}

static void test_row04_tuples_tell_nothing_about_each_other(void **state)
{
    struct flow_tuple t = tuple_of(0x02004d0a, 40000);
    uint32_t bits_set = 0, previous = tcp_isn(key, &t, 0);
    for (uint16_t port = 40001; port < 41001; port++) {
        t.remote_port = port;
        uint32_t isn = tcp_isn(key, &t, 0);
        bits_set += (uint32_t)__builtin_popcount(isn ^ previous);
        previous = isn;
    }
    assert_in_range(bits_set, 15500, 16500); /* half of the 32 bits change, on average */
    struct flow_tuple other = tuple_of(0x03004d0a, 40000);
    t = tuple_of(0x02004d0a, 40000);
    assert_int_not_equal(tcp_isn(key, &t, 0), tcp_isn(key, &other, 0));
}

static void test_row04_secret_and_use_matter(void **state)
{
    struct flow_tuple t = tuple_of(0x02004d0a, 40000);
    uint8_t other[16];
    memcpy(other, key, sizeof(other));
    other[15] ^= 1;
    assert_int_not_equal(tcp_isn(key, &t, 0), tcp_isn(other, &t, 0));
    assert_true(tcp_tuple_hash(key, TCP_HASH_ISN, &t, 0) !=
                tcp_tuple_hash(key, TCP_HASH_COOKIE, &t, 0));
    assert_true(tcp_tuple_hash(key, TCP_HASH_ISN, &t, 0) !=
                tcp_tuple_hash(key, TCP_HASH_ISN, &t, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_row04_per_tuple_monotone_with_the_clock),
        cmocka_unit_test(test_row04_tuples_tell_nothing_about_each_other),
        cmocka_unit_test(test_row04_secret_and_use_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
