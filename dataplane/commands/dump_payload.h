/* A value as DUMP gives it and RESTORE takes it: type byte, value as in an RDB file, version (2,
 * LE), checksum of all before it (8, LE).
 *
 * Owner: one lcore. Both directions go in steps of some 20 to 80 µs (a piece of LZF is
 * the longest). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "outbuf.h"
#include "rdb_value.h"

#define DUMP_FOOTER_BYTES 10
/* What one step may do, in terms of rdb_value.h. */
#define DUMP_STEP_BUDGET 8192

struct dump_payload {
    struct outbuf out; /* the payload, complete once step() has said so */
    struct rdb_writer writer;
    struct rdb_encoder encoder;
    bool encoded;
    struct outbuf_cursor summed_to;
    size_t summed;
    uint64_t crc;
};

/* v must not change until it is encoded (the caller holds a reference, or its slot). compress:
 * rdbcompression. */
void dump_payload_begin(struct dump_payload *p, const struct rdb_value *v, bool compress);
/* True: complete; the caller takes out. */
bool dump_payload_step(struct dump_payload *p);
/* At any time; drops what was not taken from out. */
void dump_payload_fini(struct dump_payload *p);

enum dump_verdict { DUMP_VALID, DUMP_WRONG_FOOTER, DUMP_GOES_ON };
struct dump_check {
    size_t summed;
    uint64_t crc;
};
/* The footer of an untrusted payload, its checksum in steps; zero at first. */
enum dump_verdict dump_check_step(struct dump_check *check, struct slice payload);
