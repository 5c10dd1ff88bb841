/* The codec against bytes put down by hand, and against what must not be believed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "test_bus.h"

#define ME "0123456789abcdef0123456789abcdef01234567"
#define YOU "89abcdef0123456789abcdef0123456789abcdef"
#define SHE "fedcba9876543210fedcba9876543210fedcba98"
#define ROOM 8192

static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
static const struct bus_limits light_limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, true};

/* ---- frames by hand: every number here is the wire's own ---- */

static struct raw {
    uint8_t at[ROOM];
    size_t len;
} raw;

static void put(size_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        raw.at[at + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void put_totlen(void)
{
    put(4, 4, raw.len);
}

static void raw_header(unsigned type)
{
    memset(&raw, 0, sizeof(raw));
    memcpy(raw.at, "RCmb", 4);
    put(8, 2, 1);
    put(10, 2, 7001);
    put(12, 2, type);
    put(16, 8, 0x0102030405060708);
    put(24, 8, 0x1112131415161718);
    put(32, 8, 0x2122232425262728);
    memcpy(raw.at + 40, ME, 40);
    raw.at[80] = 0x81;        /* slots 0 and 7 */
    raw.at[80 + 2047] = 0x80; /* slot 16383 */
    memcpy(raw.at + 2128, YOU, 40);
    memcpy(raw.at + 2168, "10.77.0.1", 9);
    put(2246, 2, 7002);
    put(2248, 2, 17001);
    put(2250, 2, 2 | 16);
    raw.at[2252] = 1;
    raw.at[2253] = 2;
    raw.len = 2256;
    put_totlen();
}

static void raw_gossip(const char *name, const char *ip, unsigned flags)
{
    size_t at = raw.len;
    memcpy(raw.at + at, name, 40);
    put(at + 40, 4, 1700000001);
    put(at + 44, 4, 1700000002);
    memcpy(raw.at + at + 48, ip, strlen(ip));
    put(at + 94, 2, 7003);
    put(at + 96, 2, 17003);
    put(at + 98, 2, flags);
    put(at + 100, 2, 7004);
    raw.len += 104;
    put(14, 2, raw.at[14] * 256u + raw.at[15] + 1);
    put_totlen();
}

static void raw_extension(unsigned type, const void *data, size_t len)
{
    memcpy(raw.at + raw.len + 8, data, len);
    len = (len + 7) / 8 * 8;
    put(raw.len, 4, 8 + len);
    put(raw.len + 4, 2, type);
    raw.len += 8 + len;
    raw.at[2253] |= 4;
    put(2214, 2, raw.at[2214] * 256u + raw.at[2215] + 1);
    put_totlen();
}

static void raw_extensions(void)
{
    raw_extension(0, "node-1.example", 15);
    raw_extension(1, "a_name7", 8);
    raw_extension(2, SHE "\0\0\0\0\0\0\1\2", 48);
    raw_extension(3, YOU, 40);
}

/* ---- decoding from memory of exactly the frame's size, at an odd address ---- */

struct seen {
    enum bus_verdict verdict;
    enum bus_reason why;
};

static struct bus_message m;
static uint8_t *exact;

static int tear_down(void **state)
{
    free(exact);
    exact = NULL;
    return 0;
}

static struct seen decode_with(const struct bus_limits *with)
{
    struct seen seen;
    free(exact);
    exact = malloc(raw.len + 1);
    assert_non_null(exact);
    memcpy(exact + 1, raw.at, raw.len);
    seen.verdict = bus_decode(slice_from(exact + 1, raw.len), with, &m, &seen.why);
    assert_true((seen.verdict == BUS_OK) == (seen.why == BUS_REASON_NONE));
    return seen;
}

static void expect(enum bus_verdict verdict, enum bus_reason why)
{
    struct seen seen = decode_with(&limits);
    assert_string_equal(bus_reason_text(seen.why), bus_reason_text(why));
    assert_int_equal(seen.verdict, verdict);
}

static void expect_ok(void)
{
    expect(BUS_OK, BUS_REASON_NONE);
}

/* What was decoded, built again: the bytes by hand. */
static void expect_rebuilt(void)
{
    uint8_t *again;
    size_t len = test_bus_rebuild(&m, &again);
    assert_int_equal(len, raw.len);
    assert_memory_equal(again, raw.at, raw.len);
    free(again);
}

static void assert_text(struct slice text, const char *want)
{
    assert_true(slice_equal(text, slice_str(want)));
}

/* ---- what is valid ---- */

static void test_header(void **state)
{
    for (unsigned type = 0; type < 11; type++) {
        if (type == 3 || type == 4 || type == 7 || type == 9 || type == 10)
            continue;
        raw_header(type);
        expect_ok();
        const struct bus_header *h = &m.header;
        assert_int_equal(h->type, type);
        assert_int_equal(h->port, 7001);
        assert_int_equal(h->pport, 7002);
        assert_int_equal(h->cport, 17001);
        assert_int_equal(h->flags, BUS_NODE_SLAVE | BUS_NODE_MYSELF);
        assert_int_equal(h->state, 1);
        assert_int_equal(h->mflags, BUS_MFLAG_FORCEACK);
        assert_true(h->current_epoch == 0x0102030405060708);
        assert_true(h->config_epoch == 0x1112131415161718);
        assert_true(h->offset == 0x2122232425262728);
        assert_memory_equal(h->sender, ME, 40);
        assert_memory_equal(h->replica_of, YOU, 40);
        assert_text(h->ip, "10.77.0.1");
        for (unsigned slot = 0; slot < BUS_SLOTS; slot++)
            assert_int_equal(bus_slot_get(h->slots, slot), slot == 0 || slot == 7 || slot == 16383);
        assert_false(m.light);
        expect_rebuilt();
    }
}

static void test_primary_without_address(void **state)
{
    raw_header(1);
    memset(raw.at + 2128, 0, 40);
    memset(raw.at + 2168, 0, 46);
    expect_ok();
    assert_null(m.header.replica_of);
    assert_int_equal(m.header.ip.len, 0);
    expect_rebuilt();
}

static void test_gossip(void **state)
{
    struct bus_gossip_iter i;
    struct bus_gossip g;
    raw_header(2);
    raw_gossip(YOU, "fd77::2", 1 | 8);
    raw_gossip(SHE, "", 512);
    expect_ok();
    assert_int_equal(m.gossip_count, 2);
    bus_gossip_first(&m, &i);
    assert_true(bus_gossip_next(&i, &g));
    assert_memory_equal(g.name, YOU, 40);
    assert_text(g.ip, "fd77::2");
    assert_int_equal(g.ping_sent_s, 1700000001);
    assert_int_equal(g.pong_received_s, 1700000002);
    assert_int_equal(g.port, 7003);
    assert_int_equal(g.cport, 17003);
    assert_int_equal(g.pport, 7004);
    assert_int_equal(g.flags, BUS_NODE_MASTER | BUS_NODE_FAIL);
    assert_true(bus_gossip_next(&i, &g));
    assert_memory_equal(g.name, SHE, 40);
    assert_int_equal(g.ip.len, 0);
    assert_int_equal(g.flags, BUS_NODE_NOFAILOVER);
    assert_false(bus_gossip_next(&i, &g));
    assert_int_equal(i.rejected, 0);
    expect_rebuilt();
}

static void test_extensions(void **state)
{
    struct bus_extension_iter i;
    struct bus_extension e;
    raw_header(0);
    raw_gossip(YOU, "10.77.0.2", 1);
    raw_extensions();
    expect_ok();
    assert_int_equal(m.extension_count, 4);
    bus_extension_first(&m, &i);
    assert_true(bus_extension_next(&i, &e));
    assert_int_equal(e.type, BUS_EXT_HOSTNAME);
    assert_text(e.text, "node-1.example");
    assert_true(bus_extension_next(&i, &e));
    assert_int_equal(e.type, BUS_EXT_HUMAN_NAME);
    assert_text(e.text, "a_name7");
    assert_true(bus_extension_next(&i, &e));
    assert_int_equal(e.type, BUS_EXT_FORGOTTEN);
    assert_memory_equal(e.name, SHE, 40);
    assert_int_equal(e.ttl_s, 0x102);
    assert_true(bus_extension_next(&i, &e));
    assert_int_equal(e.type, BUS_EXT_SHARD_ID);
    assert_memory_equal(e.name, YOU, 40);
    assert_false(bus_extension_next(&i, &e));
    expect_rebuilt();
}

/* The flag alone says that they would be understood. */
static void test_extension_flag_alone(void **state)
{
    raw_header(1);
    raw.at[2253] = 4;
    expect_ok();
    assert_int_equal(m.header.mflags, BUS_MFLAG_EXT_DATA);
    expect_rebuilt();
}

static void test_unknown_extensions_are_skipped(void **state)
{
    struct bus_extension_iter i;
    struct bus_extension e;
    raw_header(0);
    raw_extension(4, "whatever it is", 14);
    raw_extension(65535, "", 0);
    raw_extension(1, "two words", 10); /* no file could hold it */
    raw_extension(0, "", 1);
    expect_ok();
    bus_extension_first(&m, &i);
    assert_true(bus_extension_next(&i, &e));
    assert_int_equal(e.type, BUS_EXT_HOSTNAME);
    assert_int_equal(e.text.len, 0);
    assert_false(bus_extension_next(&i, &e));
}

static void test_fail(void **state)
{
    raw_header(3);
    memcpy(raw.at + 2256, SHE, 40);
    raw.len = 2296;
    put_totlen();
    expect_ok();
    assert_memory_equal(m.fail.name, SHE, 40);
    expect_rebuilt();
}

static void raw_update(void)
{
    raw_header(7);
    put(2256, 8, 77);
    memcpy(raw.at + 2264, SHE, 40);
    raw.at[2304 + 1] = 1; /* slot 8 */
    raw.len = 4352;
    put_totlen();
}

static void test_update(void **state)
{
    raw_update();
    expect_ok();
    assert_int_equal(m.update.config_epoch, 77);
    assert_memory_equal(m.update.name, SHE, 40);
    assert_true(bus_slot_get(m.update.slots, 8));
    assert_false(bus_slot_get(m.update.slots, 9));
    expect_rebuilt();
}

static void raw_publish_body(const char *channel, const char *message)
{
    put(raw.len, 4, strlen(channel));
    put(raw.len + 4, 4, strlen(message));
    strcpy((char *)raw.at + raw.len + 8, channel);
    strcpy((char *)raw.at + raw.len + 8 + strlen(channel), message);
    raw.len += 8 + strlen(channel) + strlen(message);
    put_totlen();
}

static void test_publish(void **state)
{
    const unsigned types[] = {4, 10};
    for (int i = 0; i < 2; i++) {
        raw_header(types[i]);
        raw_publish_body("news", "hello world");
        expect_ok();
        assert_text(m.publish.channel, "news");
        assert_text(m.publish.message, "hello world");
        expect_rebuilt();
        assert_int_equal(bus_publish_size(m.publish.channel, m.publish.message, false), raw.len);
        raw_header(types[i]);
        raw_publish_body("", "");
        expect_ok();
        assert_int_equal(m.publish.channel.len + m.publish.message.len, 0);
        expect_rebuilt();
    }
}

static void test_module(void **state)
{
    const uint64_t id = 0x1234567890abcdef;
    raw_header(9);
    memcpy(raw.at + 2256, &id, 8); /* not swapped */
    put(2264, 4, 5);
    raw.at[2268] = 42;
    memcpy(raw.at + 2269, "bytes", 5);
    raw.len = 2274;
    put_totlen();
    expect_ok();
    assert_true(m.module.id == id);
    assert_int_equal(m.module.type, 42);
    assert_text(m.module.payload, "bytes");
    expect_rebuilt();
    assert_int_equal(bus_module_size(m.module.payload), raw.len);
}

static void raw_light(unsigned type)
{
    memset(&raw, 0, sizeof(raw));
    memcpy(raw.at, "RCmb", 4);
    put(8, 2, 1);
    put(12, 2, 0x8000 | type);
    raw.len = 16;
    raw_publish_body("ch", "light");
}

static void test_light(void **state)
{
    raw_light(4);
    assert_int_equal(decode_with(&light_limits).verdict, BUS_OK);
    assert_true(m.light);
    assert_null(m.header.sender);
    assert_int_equal(m.header.type, BUS_PUBLISH);
    assert_text(m.publish.channel, "ch");
    assert_text(m.publish.message, "light");
    expect_rebuilt();
    raw_light(10);
    assert_int_equal(decode_with(&light_limits).verdict, BUS_OK);
    expect_rebuilt();
    raw_header(0);
    assert_int_equal(decode_with(&light_limits).verdict, BUS_OK);
    assert_false(m.light);
}

static void test_light_where_it_is_not_legal(void **state)
{
    raw_light(4);
    expect(BUS_CLOSE, BUS_REASON_TOO_SHORT);
    raw_header(0x8004);
    expect(BUS_DROP, BUS_REASON_LIGHT);
    raw_light(0);
    assert_int_equal(decode_with(&light_limits).why, BUS_REASON_TYPE);
    raw_light(4);
    put(16, 4, 3);
    struct seen seen = decode_with(&light_limits);
    assert_int_equal(seen.verdict, BUS_CLOSE);
    assert_int_equal(seen.why, BUS_REASON_BODY_SHORT);
    for (raw.len = 16; raw.len < 24; raw.len++) {
        put_totlen();
        assert_int_equal(decode_with(&light_limits).verdict, BUS_CLOSE);
    }
}

/* ---- rows 31 to 38 and 41; 31 and 32 in the framing's test too ---- */

static void test_row_31_signature_and_totlen(void **state)
{
    const uint32_t lengths[] = {0, 7, 8, 16, 2255};
    raw_header(0);
    raw.at[3] = 'B';
    expect(BUS_CLOSE, BUS_REASON_SIGNATURE);
    for (int i = 0; i < 5; i++) {
        raw_header(0);
        put(4, 4, lengths[i]);
        expect(BUS_CLOSE, BUS_REASON_TOO_SHORT);
    }
    raw_header(0);
    put(4, 4, 2257);
    expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
    raw.len = 0;
    expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
}

static void test_row_33_count_without_gossip(void **state)
{
    for (unsigned type = 0; type < 3; type++) {
        raw_header(type);
        put(14, 2, 65535);
        expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
        raw_header(type);
        raw_gossip(YOU, "10.77.0.2", 1);
        put(14, 2, 2);
        expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
    }
}

static void test_row_34_extension_lengths(void **state)
{
    const uint32_t wrong[] = {2000000000, 0, 4, 7, 9, 12, 32, 0xfffffff8, 0x10018};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        raw_header(0);
        raw_extension(0, "node-1.example", 15);
        put(2256, 4, wrong[i]);
        expect(BUS_CLOSE, BUS_REASON_EXTENSION_LENGTH);
    }
    raw_header(0);
    raw_extension(0, "node-1.example", 15);
    put(2214, 2, 2); /* one more than there are */
    expect(BUS_CLOSE, BUS_REASON_EXTENSION_LENGTH);
    raw.at[2253] = 0;
    expect(BUS_CLOSE, BUS_REASON_EXTENSION_FLAG);
    raw_header(0);
    raw_extension(2, SHE, 40);
    expect(BUS_CLOSE, BUS_REASON_EXTENSION_LENGTH);
    raw_header(0);
    raw_extension(3, SHE "........", 48);
    expect(BUS_CLOSE, BUS_REASON_EXTENSION_LENGTH);
}

static void test_row_35_texts(void **state)
{
    char text[300];
    for (unsigned type = 0; type < 2; type++) {
        raw_header(0);
        raw_extension(type, "12345678", 8);
        expect(BUS_CLOSE, BUS_REASON_EXTENSION_TEXT);
        raw_header(0);
        raw_extension(type, "", 0);
        expect(BUS_CLOSE, BUS_REASON_EXTENSION_TEXT);
        raw_header(0);
        memset(text, 'a', sizeof(text));
        text[256] = '\0';
        raw_extension(type, text, sizeof(text));
        expect(BUS_CLOSE, BUS_REASON_EXTENSION_TEXT);
        raw_header(0);
        text[255] = '\0';
        raw_extension(type, text, sizeof(text));
        expect_ok();
    }
    raw_header(0);
    raw_extension(0, "a\nvars", 7);
    expect(BUS_CLOSE, BUS_REASON_EXTENSION_TEXT);
}

static void test_row_36_publish_lengths(void **state)
{
    const uint32_t lengths[][2] = {
        {0xffffffff, 1}, {0xffffffff, 0xffffffff}, {0, 0xfffffff8},
        {5, 11},         {0x80000000, 0x8000000f},
    };
    for (int i = 0; i < 5; i++) {
        raw_header(4);
        raw_publish_body("news", "hello world");
        put(2256, 4, lengths[i][0]);
        put(2260, 4, lengths[i][1]);
        expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
    }
    raw_header(9);
    raw.len = 2269;
    put(2264, 4, 0xffffffff);
    put_totlen();
    expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
}

static void test_row_37_header_only(void **state)
{
    const unsigned types[] = {3, 4, 7, 9, 10};
    for (int i = 0; i < 5; i++) {
        raw_header(types[i]);
        expect(BUS_CLOSE, BUS_REASON_BODY_SHORT);
    }
}

static void test_row_38_types_and_versions(void **state)
{
    for (unsigned type = 11; type <= 65535; type++) {
        raw_header(type);
        expect(BUS_DROP, type < 0x8000 ? BUS_REASON_TYPE : BUS_REASON_LIGHT);
    }
    raw_header(0);
    put(8, 2, 0);
    expect(BUS_DROP, BUS_REASON_VERSION);
    put(8, 2, 2);
    put(14, 2, 65535); /* not ours to judge */
    expect(BUS_DROP, BUS_REASON_VERSION);
}

static void test_row_41_epochs(void **state)
{
    const size_t at[] = {16, 24};
    for (int i = 0; i < 2; i++) {
        raw_header(0);
        put(at[i], 8, UINT64_C(1) << 63);
        expect(BUS_DROP, BUS_REASON_EPOCH);
        put(at[i], 8, (UINT64_C(1) << 63) - 1);
        expect_ok();
    }
    raw_update();
    put(2256, 8, UINT64_MAX);
    expect(BUS_DROP, BUS_REASON_EPOCH);
    raw_header(1);
    put(32, 8, UINT64_MAX);
    expect(BUS_DROP, BUS_REASON_OFFSET);
}

static void test_bytes_after_the_body(void **state)
{
    for (unsigned type = 0; type < 11; type++) {
        if (type == 4 || type >= 9)
            continue;
        raw_header(type);
        memcpy(raw.at + 2256, SHE, 40);
        memcpy(raw.at + 2264, SHE, 40);
        raw.len = 2256 + 2096 + 8;
        put_totlen();
        expect(BUS_IGNORE, BUS_REASON_BODY_LONG);
    }
    raw_header(4);
    raw_publish_body("a", "b");
    raw.len++;
    put_totlen();
    expect(BUS_IGNORE, BUS_REASON_BODY_LONG);
}

static void test_names_and_addresses(void **state)
{
    const size_t names[] = {40, 79, 2128};
    for (int i = 0; i < 3; i++) {
        raw_header(0);
        raw.at[names[i]] = ' ';
        expect(BUS_CLOSE, BUS_REASON_NAME);
        raw.at[names[i]] = 'A';
        expect(BUS_CLOSE, BUS_REASON_NAME);
    }
    raw_header(0);
    memset(raw.at + 40, 0, 40);
    expect(BUS_CLOSE, BUS_REASON_NAME);
    raw_header(0);
    memset(raw.at + 2168, '1', 46);
    expect(BUS_CLOSE, BUS_REASON_ADDRESS);
    raw_header(3);
    raw.len = 2296;
    put_totlen();
    expect(BUS_CLOSE, BUS_REASON_NAME);
    raw_header(7);
    raw.len = 4352;
    put_totlen();
    expect(BUS_CLOSE, BUS_REASON_NAME);
    raw_header(0);
    raw_extension(3, "fedcba9876543210 edcba9876543210fedcba98", 40);
    expect(BUS_CLOSE, BUS_REASON_NAME);
}

/* Row 42, what can be seen in an entry itself. */
static void test_gossip_that_is_none(void **state)
{
    struct bus_gossip_iter i;
    struct bus_gossip g;
    raw_header(0);
    raw_gossip("0123456789abcdef0123456789abcdef0123\n567", "10.77.0.2", 1);
    raw_gossip(YOU, "1111111111111111111111111111111111111111111111", 1);
    raw_gossip(SHE, "10.77.0.3", 1);
    expect_ok();
    bus_gossip_first(&m, &i);
    assert_true(bus_gossip_next(&i, &g));
    assert_memory_equal(g.name, SHE, 40);
    assert_false(bus_gossip_next(&i, &g));
    assert_int_equal(i.rejected, 2);
}

static void test_addresses(void **state)
{
    const char *const good[] = {"10.77.0.1", "127.0.0.1", "fd77::1", "::ffff:10.0.0.1", "::1"};
    const char *const bad[] = {"",
                               "0.0.0.0",
                               "224.0.0.1",
                               "255.255.255.255",
                               "::",
                               "ff02::1",
                               "?",
                               "10.0.0.1 ",
                               "10.0.0.256",
                               "host",
                               "10.0.0",
                               "1:2",
                               "::ffff:0.0.0.0",
                               "[::1]",
                               "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"};
    const uint8_t four[16] = {[10] = 0xff, 0xff, 10, 77, 0, 1};
    uint8_t a[BUS_ADDRESS_SIZE];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(bus_address_parse(slice_str(good[i]), a));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bus_address_parse(slice_str(bad[i]), a));
    assert_false(bus_address_parse(slice_from("10.0.0.1\0x", 10), a));
    assert_true(bus_address_parse(slice_str("10.77.0.1"), a));
    assert_memory_equal(a, four, 16);
}

/* ---- every bit, every length ---- */

static void walk_if_valid(void)
{
    if (decode_with(&limits).verdict != BUS_OK)
        return;
    uint8_t *again;
    (void)test_bus_touch(&m);
    (void)test_bus_rebuild(&m, &again);
    free(again);
}

static void test_every_bit_flipped(void **state)
{
    raw_header(0);
    raw_gossip(YOU, "10.77.0.2", 1);
    raw_extensions();
    for (size_t bit = 0; bit < raw.len * 8; bit++) {
        raw.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        walk_if_valid();
        raw.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    expect_ok();
}

static void test_every_length(void **state)
{
    raw_header(0);
    raw_gossip(YOU, "10.77.0.2", 1);
    raw_extensions();
    size_t whole = raw.len;
    for (raw.len = 0; raw.len < whole; raw.len++) {
        assert_int_equal(decode_with(&limits).verdict, BUS_CLOSE); /* totlen says more */
        uint8_t totlen[4];
        memcpy(totlen, raw.at + 4, 4);
        put_totlen(); /* totlen says as much */
        assert_int_equal(decode_with(&limits).verdict, BUS_CLOSE);
        memcpy(raw.at + 4, totlen, 4);
    }
    expect_ok();
}

/* ---- building ---- */

static void test_patch_of_a_template(void **state)
{
    raw_header(1);
    bus_patch_offset(raw.at, 4711);
    expect_ok();
    assert_int_equal(m.header.offset, 4711);
}

static void test_sizes(void **state)
{
    struct bus_extension e = {.type = BUS_EXT_HOSTNAME, .text = slice_str("1234567")};
    assert_int_equal(bus_extension_size(&e), 16);
    e.text = slice_str("12345678");
    assert_int_equal(bus_extension_size(&e), 24);
    e.type = BUS_EXT_FORGOTTEN;
    assert_int_equal(bus_extension_size(&e), 56);
    e.type = BUS_EXT_SHARD_ID;
    assert_int_equal(bus_extension_size(&e), 48);
    assert_int_equal(BUS_SIZE_PLAIN, 2256);
    assert_int_equal(BUS_SIZE_FAIL, 2296);
    assert_int_equal(BUS_SIZE_UPDATE, 4352);
    assert_int_equal(BUS_SIZE_PING(3), 2568);
    assert_true(BUS_SIZE_PING(10000) < BUS_FRAME_MAX);
}

static void test_slots(void **state)
{
    uint8_t slots[BUS_SLOTS_SIZE] = {0};
    bus_slot_set(slots, 16383, true);
    assert_int_equal(slots[2047], 0x80);
    bus_slot_set(slots, 16376, true);
    bus_slot_set(slots, 16383, false);
    assert_int_equal(slots[2047], 1);
}

static void test_words(void **state)
{
    for (int i = 0; i < BUS_REASON_COUNT; i++)
        assert_true(strlen(bus_reason_text(i)) > 0);
    assert_string_equal(bus_type_text(5), "auth-req");
    assert_string_equal(bus_type_text(10), "publishshard");
    assert_string_equal(bus_type_text(11), "unknown");
}

#define CODEC_TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CODEC_TEST(test_header),
        CODEC_TEST(test_primary_without_address),
        CODEC_TEST(test_gossip),
        CODEC_TEST(test_extensions),
        CODEC_TEST(test_extension_flag_alone),
        CODEC_TEST(test_unknown_extensions_are_skipped),
        CODEC_TEST(test_fail),
        CODEC_TEST(test_update),
        CODEC_TEST(test_publish),
        CODEC_TEST(test_module),
        CODEC_TEST(test_light),
        CODEC_TEST(test_light_where_it_is_not_legal),
        CODEC_TEST(test_row_31_signature_and_totlen),
        CODEC_TEST(test_row_33_count_without_gossip),
        CODEC_TEST(test_row_34_extension_lengths),
        CODEC_TEST(test_row_35_texts),
        CODEC_TEST(test_row_36_publish_lengths),
        CODEC_TEST(test_row_37_header_only),
        CODEC_TEST(test_row_38_types_and_versions),
        CODEC_TEST(test_row_41_epochs),
        CODEC_TEST(test_bytes_after_the_body),
        CODEC_TEST(test_names_and_addresses),
        CODEC_TEST(test_gossip_that_is_none),
        CODEC_TEST(test_addresses),
        CODEC_TEST(test_every_bit_flipped),
        CODEC_TEST(test_every_length),
        CODEC_TEST(test_patch_of_a_template),
        CODEC_TEST(test_sizes),
        CODEC_TEST(test_slots),
        CODEC_TEST(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
