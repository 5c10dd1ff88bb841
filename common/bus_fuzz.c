/* Any bytes as a stream of the bus: cut at places that the first byte chooses they give the same
 * frames and verdicts as in one piece; every view of a valid message lies in its frame; and what
 * was decoded and built again decodes to the same. */
#include <stdlib.h>
#include "check.h"
#include "test_bus.h"

static const struct bus_limits kinds[] = {
    {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false},
    {BUS_FRAME_MAX, BUS_PUBLISH_MAX, true},
};

static void hash_bytes(uint64_t *hash, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
}

/* The second building is the first: nothing is lost or made up. */
static void check_rebuilt(const struct bus_message *m, const struct bus_limits *limits)
{
    struct bus_message again;
    enum bus_reason why;
    uint8_t *one, *two;
    size_t one_len = test_bus_rebuild(m, &one);
    CHECK(one_len <= m->frame.len);
    CHECK(bus_decode(slice_from(one, one_len), limits, &again, &why) == BUS_OK);
    size_t two_len = test_bus_rebuild(&again, &two);
    CHECK(one_len == two_len);
    CHECK(memcmp(one, two, one_len) == 0);
    free(one);
    free(two);
}

static void take_frame(struct slice frame, const struct bus_limits *limits, uint64_t *hash)
{
    struct bus_message m;
    enum bus_reason why;
    uint8_t *copy = malloc(frame.len); /* reads past its end are seen */
    CHECK(copy);
    memcpy(copy, frame.data, frame.len);
    enum bus_verdict v = bus_decode(slice_from(copy, frame.len), limits, &m, &why);
    hash_bytes(hash, &v, sizeof(v));
    hash_bytes(hash, &why, sizeof(why));
    if (v == BUS_OK) {
        uint64_t sum = test_bus_touch(&m);
        hash_bytes(hash, &sum, sizeof(sum));
        check_rebuilt(&m, limits);
    }
    free(copy);
}

static uint64_t run(struct slice all, size_t step, const struct bus_limits *limits)
{
    uint64_t hash = 0xcbf29ce484222325u;
    struct bus_framer framer;
    enum bus_verdict v = BUS_MORE;
    enum bus_reason why;
    bus_framer_init(&framer);
    while (all.len > 0 && v != BUS_CLOSE) {
        size_t len = step < all.len ? step : all.len;
        uint8_t *piece = malloc(len);
        CHECK(piece);
        memcpy(piece, all.data, len);
        struct slice input = slice_from(piece, len), frame;
        while ((v = bus_framer_take(&framer, &input, limits, &frame, &why)) == BUS_OK)
            take_frame(frame, limits, &hash);
        CHECK(framer.size <= 2 * framer.len || framer.size <= BUS_FRAMER_KEEP);
        CHECK(v == BUS_CLOSE || input.len == 0);
        free(piece);
        all = slice_from(all.data + len, all.len - len);
    }
    bus_framer_free(&framer);
    hash_bytes(&hash, &v, sizeof(v));
    hash_bytes(&hash, &why, sizeof(why));
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct bus_limits *limits = &kinds[data[0] & 1];
    struct slice all = slice_from(data + 1, size - 1);
    uint64_t whole = run(all, all.len, limits);
    CHECK(run(all, 1 + (size_t)data[0] * 5, limits) == whole);
    CHECK(run(all, 13, limits) == whole);
    return 0;
}
