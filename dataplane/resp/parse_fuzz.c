/* Any bytes, cut at places that the first byte chooses, give the same commands as in one piece. */
#include <stdint.h>
#include <stdlib.h>
#include "check.h"
#include "parse.h"

#define ROOM 4

static const struct resp_limits limits = {1 << 20, 256, true};

static void hash_bytes(uint64_t *hash, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
}

static uint64_t run(const uint8_t *data, size_t size, size_t step)
{
    uint64_t hash = 0xcbf29ce484222325u;
    struct resp_parser p;
    resp_parser_init(&p);
    size_t at = 0, seen = 0;
    while (seen < size) {
        seen += step < size - seen ? step : size - seen;
        size_t len = seen - at;
        uint8_t *copy = malloc(len + !len);
        CHECK(copy);
        memcpy(copy, data + at, len);
        size_t used = 0;
        struct slice room[ROOM];
        struct resp_command cmd = {0};
        enum resp_result r;
        while ((r = resp_parse(&p, slice_from(copy + used, len - used), &limits, room, ROOM,
                               &cmd)) != RESP_MORE) {
            hash_bytes(&hash, &r, sizeof(r));
            if (r == RESP_INVALID)
                break;
            for (uint32_t i = 0; r == RESP_COMMAND && i < cmd.argc; i++) {
                hash_bytes(&hash, &cmd.argv[i].len, sizeof(size_t));
                hash_bytes(&hash, cmd.argv[i].data, cmd.argv[i].len);
            }
            CHECK(cmd.consumed > 0);
            used += cmd.consumed;
        }
        free(copy);
        at += used;
        if (r == RESP_INVALID)
            break;
    }
    resp_parser_free(&p);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint64_t whole = run(data + 1, size - 1, size - 1);
    CHECK(run(data + 1, size - 1, 1 + data[0]) == whole);
    CHECK(run(data + 1, size - 1, 1) == whole);
    return 0;
}
