/* The codec of the cluster bus, used by the lcores, the control plane and the simulator: frames a
 * byte stream into messages, validates and decodes them, and builds them.
 *
 * Threads: any; no state but the caller's. Nothing is believed before the whole frame was
 * validated. Decoding copies nothing: views point into the frame and live as long as it does; no
 * alignment is needed. Every length comes from the frame's real bytes, never from what it claims.
 *
 * What a frame gets (rows 31 to 38 and 41 of the rules for bad input): see enum bus_reason. What
 * takes knowledge of the cluster (unknown senders, replays, forged roles) is the caller's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bus_wire.h"
#include "slice.h"

/* ---- verdicts ---- */

enum bus_verdict {
    BUS_OK,
    BUS_MORE,   /* framing only: more bytes are needed */
    BUS_IGNORE, /* not for us, and no fault: as stock nodes do, in silence */
    BUS_DROP,   /* not believed: count it; the link stays */
    BUS_CLOSE,  /* the peer does not keep the protocol: count it, close the link, log */
};

enum bus_reason {
    BUS_REASON_NONE,
    BUS_REASON_SIGNATURE,        /* close: does not begin with "RCmb" */
    BUS_REASON_TOO_SHORT,        /* close: totlen below its header's */
    BUS_REASON_TOO_LONG,         /* close: totlen above its limit */
    BUS_REASON_LIGHT,            /* drop: a light header where it is not legal */
    BUS_REASON_MEMORY,           /* close: no memory for an unfinished frame */
    BUS_REASON_VERSION,          /* drop */
    BUS_REASON_TYPE,             /* drop */
    BUS_REASON_BODY_SHORT,       /* close: ends before what its counts and lengths promise */
    BUS_REASON_BODY_LONG,        /* ignore: goes on after it */
    BUS_REASON_EXTENSION_FLAG,   /* close: extensions without EXT_DATA */
    BUS_REASON_EXTENSION_LENGTH, /* close: 0, no multiple of 8, past the end, not its type's */
    BUS_REASON_EXTENSION_TEXT,   /* close: no NUL, too long, a hostname that is none */
    BUS_REASON_NAME,             /* close: a sender, primary or subject that is no node id */
    BUS_REASON_ADDRESS,          /* close: the sender's address has no NUL */
    BUS_REASON_EPOCH,            /* drop, alarm: an epoch of 2^63 or above */
    BUS_REASON_OFFSET,           /* drop: a replication offset of 2^63 or above */
    BUS_REASON_COUNT
};
/* A few words for logs: "extension length". */
const char *bus_reason_text(enum bus_reason reason);
/* "ping", "auth-req", …, as CLUSTER INFO names them; "unknown". */
const char *bus_type_text(unsigned type);

/* ---- framing ---- */

/* Nobody needs longer messages but to publish: 10,000 gossip entries fit. */
#define BUS_FRAME_MAX (1u << 20)
/* The longest legal PUBLISH: channel and message of proto-max-bulk-len each (at its default). */
#define BUS_PUBLISH_MAX (BUS_HEADER_SIZE + BUS_PUBLISH_DATA + 2u * (512u << 20))

/* What may arrive on a link now. */
struct bus_limits {
    uint32_t frame_max;   /* PING and the like: BUS_FRAME_MAX */
    uint32_t publish_max; /* PUBLISH, PUBLISHSHARD, MODULE: BUS_FRAME_MAX for strangers */
    bool light; /* light headers: the link is bound to a node, and we show BUS_NODE_LIGHT_PUBLISH */
};

/* How long the frame at the front of data is, from at least its first bytes: BUS_OK (*len, which
 * may be more than data holds), BUS_MORE or BUS_CLOSE. Says CLOSE as early as the bytes allow. */
enum bus_verdict bus_frame_length(struct slice data, const struct bus_limits *limits, uint32_t *len,
                                  enum bus_reason *why);

/* Makes whole frames of a stream that comes in pieces. Memory: none while frames come whole; else
 * at most twice the bytes that have really arrived (and BUS_FRAMER_KEEP, which it keeps). */
#define BUS_FRAMER_KEEP 4096
struct bus_framer {
    uint8_t *buf;
    size_t len, size;
    bool given; /* buf holds the frame that was returned last */
};
void bus_framer_init(struct bus_framer *f);
void bus_framer_free(struct bus_framer *f);
/* Takes bytes from the front of *input, which it advances. BUS_OK: *frame is one whole frame, in
 * the input's or the framer's memory, until the next call; there may be more in *input. BUS_MORE:
 * all input was taken. BUS_CLOSE: the stream is of no use any more. */
enum bus_verdict bus_framer_take(struct bus_framer *f, struct slice *input,
                                 const struct bus_limits *limits, struct slice *frame,
                                 enum bus_reason *why);

/* After BUS_OK: the framer's own memory, if the frame lies there, is the caller's now, to free();
 * NULL: the frame lies in the input. */
uint8_t *bus_framer_give(struct bus_framer *f);

/* ---- decoding ---- */

/* The header: views when decoded; what to write when encoding. */
struct bus_header {
    uint16_t type;
    uint16_t port, pport, cport;
    uint16_t flags;                               /* enum bus_node_flags */
    uint8_t mflags;                               /* enum bus_message_flags */
    uint8_t state;                                /* 0: ok */
    uint64_t current_epoch, config_epoch, offset; /* each below 2^63 */
    const uint8_t *sender;                        /* BUS_NAME_SIZE */
    const uint8_t *replica_of;                    /* BUS_NAME_SIZE; NULL: a primary */
    const uint8_t *slots;                         /* BUS_SLOTS_SIZE */
    struct slice ip;                              /* without the NUL; empty: use the connection's */
};

struct bus_message {
    struct bus_header header; /* a light one: only type, without the light bit; sender is NULL */
    bool light;
    struct slice frame;
    uint16_t gossip_count, extension_count; /* PING, PONG, MEET */
    struct slice gossip, extensions;
    union {
        struct {
            const uint8_t *name;
        } fail;
        struct {
            struct slice channel, message;
        } publish; /* PUBLISHSHARD too */
        struct {
            uint64_t config_epoch;
            const uint8_t *name, *slots;
        } update;
        struct {
            uint64_t id; /* in the sender's byte order, as it came */
            uint8_t type;
            struct slice payload;
        } module;
    };
};

/* frame: exactly one frame, as framed. BUS_OK: *m is valid; else *why says why not and *m is not to
 * be used. */
enum bus_verdict bus_decode(struct slice frame, const struct bus_limits *limits,
                            struct bus_message *m, enum bus_reason *why);

static inline bool bus_type_is_ping(unsigned type)
{
    return type <= BUS_MEET;
}

/* One node that gossip tells of. ip need not be an address: see bus_address_parse(). */
struct bus_gossip {
    const uint8_t *name;
    struct slice ip;
    uint32_t ping_sent_s, pong_received_s;
    uint16_t port, cport, pport;
    uint16_t flags;
};

struct bus_gossip_iter {
    const uint8_t *at;
    uint16_t left;
    uint16_t rejected; /* entries that were skipped: no node id, or an address without NUL */
};
void bus_gossip_first(const struct bus_message *m, struct bus_gossip_iter *i);
/* False: there are no more. */
bool bus_gossip_next(struct bus_gossip_iter *i, struct bus_gossip *entry);

/* type says which fields are there. */
struct bus_extension {
    uint16_t type;
    struct slice text;   /* HOSTNAME, HUMAN_NAME: without the NUL */
    const uint8_t *name; /* FORGOTTEN: node id; SHARD_ID: shard id */
    uint64_t ttl_s;      /* FORGOTTEN */
};

struct bus_extension_iter {
    const uint8_t *at;
    uint16_t left;
};
void bus_extension_first(const struct bus_message *m, struct bus_extension_iter *i);
/* Skips unknown types, and human names that no file could hold. False: there are no more. */
bool bus_extension_next(struct bus_extension_iter *i, struct bus_extension *extension);

/* ---- single values ---- */

/* 40 characters of [a-z0-9], as stock nodes check. */
bool bus_name_valid(const uint8_t *name);
/* A hostname as Redis accepts it: [A-Za-z0-9.-], at most BUS_EXT_TEXT_MAX; empty: none. */
bool bus_hostname_valid(struct slice text);
#define BUS_ADDRESS_SIZE 16
/* IPv4 (as ::ffff:a.b.c.d) or IPv6 that a node can have: not unspecified, multicast or broadcast.
 */
bool bus_address_parse(struct slice text, uint8_t address[BUS_ADDRESS_SIZE]);

/* ---- encoding ---- */

/* Builds one message in the caller's buffer: begin, then the body or gossip entries and after them
 * extensions, then end. The buffer must be large enough, by the sizes below (CHECKed), and what is
 * written must be valid (CHECKed in debug builds): it is the caller's own. */
struct bus_writer {
    uint8_t *buf;
    size_t size, len;
};

/* The header with the given type; EXT_DATA in mflags is the caller's to set. */
void bus_write_begin(struct bus_writer *w, uint8_t *buf, size_t size, const struct bus_header *h);
void bus_write_gossip(struct bus_writer *w, const struct bus_gossip *entry);
/* Sets EXT_DATA. */
void bus_write_extension(struct bus_writer *w, const struct bus_extension *extension);
void bus_write_fail(struct bus_writer *w, const uint8_t *name);
void bus_write_update(struct bus_writer *w, uint64_t config_epoch, const uint8_t *name,
                      const uint8_t *slots);
/* PUBLISH and PUBLISHSHARD; after bus_write_light() too. */
void bus_write_publish(struct bus_writer *w, struct slice channel, struct slice message);
void bus_write_module(struct bus_writer *w, uint64_t id, uint8_t type, struct slice payload);
/* Instead of begin, to peers that show BUS_NODE_LIGHT_PUBLISH: type PUBLISH or PUBLISHSHARD. */
void bus_write_light(struct bus_writer *w, uint8_t *buf, size_t size, uint16_t type);
/* Stores totlen; the length of the message. */
size_t bus_write_end(struct bus_writer *w);

/* Sizes of whole messages; extensions one by one. */
#define BUS_SIZE_PLAIN BUS_HEADER_SIZE /* AUTH_REQUEST, AUTH_ACK, MFSTART, PING without news */
#define BUS_SIZE_FAIL (BUS_HEADER_SIZE + BUS_FAIL_SIZE)
#define BUS_SIZE_UPDATE (BUS_HEADER_SIZE + BUS_UPDATE_SIZE)
#define BUS_SIZE_PING(gossip_count) \
    ((size_t)BUS_HEADER_SIZE + (size_t)(gossip_count)*BUS_GOSSIP_SIZE)
size_t bus_extension_size(const struct bus_extension *extension);
size_t bus_publish_size(struct slice channel, struct slice message, bool light);
size_t bus_module_size(struct slice payload);

/* A prepared message on its way out (the lcores' PONG): brings its replication offset up to date.
 */
static inline void bus_patch_offset(uint8_t *frame, uint64_t offset)
{
    bus_store64(frame + BUS_AT_OFFSET, offset);
}
