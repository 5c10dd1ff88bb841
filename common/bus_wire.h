/* The cluster bus on the wire: offsets, sizes, types and flags of Redis Cluster's messages,
 * protocol version 1 (Redis 7.0.15, with what 7.2 and Valkey 8 add). Everything is big-endian, but
 * for a module's id. Facts only; bus_codec.h reads and writes them. */
#pragma once
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BUS_SIGNATURE "RCmb"
#define BUS_VERSION 1
#define BUS_PORT_OFFSET 10000 /* the bus port is the client port plus this, unless configured */
#define BUS_NAME_SIZE 40      /* a node's or shard's id: [a-z0-9], no NUL */
#define BUS_IP_SIZE 46        /* NUL-terminated text; empty: the sender does not know its own */
#define BUS_SLOTS 16384
#define BUS_SLOTS_SIZE 2048 /* bit slot & 7 of byte slot / 8 */

/* The header of every message but the light ones. */
enum bus_header_offset {
    BUS_AT_SIGNATURE = 0,
    BUS_AT_TOTLEN = 4, /* u32, of the whole message */
    BUS_AT_VERSION = 8,
    BUS_AT_PORT = 10, /* of clients */
    BUS_AT_TYPE = 12,
    BUS_AT_COUNT = 14, /* gossip entries */
    BUS_AT_CURRENT_EPOCH = 16,
    BUS_AT_CONFIG_EPOCH = 24, /* a replica shows its primary's, and its primary's slots */
    BUS_AT_OFFSET = 32,       /* of replication */
    BUS_AT_SENDER = 40,
    BUS_AT_SLOTS = 80,
    BUS_AT_REPLICA_OF = 2128, /* zeros: the sender is a primary */
    BUS_AT_IP = 2168,
    BUS_AT_EXTENSIONS = 2214, /* how many */
    BUS_AT_UNUSED = 2216,     /* 30 bytes */
    BUS_AT_PPORT = 2246,      /* the plain port, when port is TLS's */
    BUS_AT_CPORT = 2248,      /* of the bus */
    BUS_AT_FLAGS = 2250,      /* of the sender: enum bus_node_flags */
    BUS_AT_STATE = 2252,      /* u8, 0: the cluster is ok */
    BUS_AT_MFLAGS = 2253,     /* 3 bytes, the first: enum bus_message_flags */
    BUS_HEADER_SIZE = 2256
};

/* Valkey's light header: the body follows at BUS_LIGHT_SIZE. Type has BUS_LIGHT_BIT set; signature,
 * totlen, version and type stand where the long header has them. */
#define BUS_LIGHT_BIT 0x8000
#define BUS_LIGHT_SIZE 16

enum bus_type {
    BUS_PING = 0,
    BUS_PONG = 1,
    BUS_MEET = 2,
    BUS_FAIL = 3,
    BUS_PUBLISH = 4,
    BUS_AUTH_REQUEST = 5,
    BUS_AUTH_ACK = 6,
    BUS_UPDATE = 7,
    BUS_MFSTART = 8,
    BUS_MODULE = 9,
    BUS_PUBLISHSHARD = 10,
    BUS_TYPE_COUNT = 11
};

enum bus_node_flags {
    BUS_NODE_MASTER = 1 << 0,
    BUS_NODE_SLAVE = 1 << 1,
    BUS_NODE_PFAIL = 1 << 2,
    BUS_NODE_FAIL = 1 << 3,
    BUS_NODE_MYSELF = 1 << 4,
    BUS_NODE_HANDSHAKE = 1 << 5,
    BUS_NODE_NOADDR = 1 << 6,
    BUS_NODE_MEET = 1 << 7,
    BUS_NODE_MIGRATE_TO = 1 << 8,
    BUS_NODE_NOFAILOVER = 1 << 9,
    BUS_NODE_EXT_SUPPORTED = 1 << 10, /* Valkey, from here on */
    BUS_NODE_LIGHT_PUBLISH = 1 << 11,
    BUS_NODE_LIGHT_MODULE = 1 << 12,
    BUS_NODE_MY_PRIMARY_FAIL = 1 << 13,
};

enum bus_message_flags {
    BUS_MFLAG_PAUSED = 1 << 0,   /* a primary that has stopped writes for a manual failover */
    BUS_MFLAG_FORCEACK = 1 << 1, /* AUTH_REQUEST: vote though the primary is not failed */
    BUS_MFLAG_EXT_DATA = 1 << 2, /* extensions follow, or (with none) would be understood */
};

/* PING, PONG, MEET: count of these, then the extensions. */
enum bus_gossip_offset {
    BUS_GOSSIP_NAME = 0,
    BUS_GOSSIP_PING_SENT = 40, /* u32, seconds since 1970 */
    BUS_GOSSIP_PONG_RECEIVED = 44,
    BUS_GOSSIP_IP = 48,
    BUS_GOSSIP_PORT = 94,
    BUS_GOSSIP_CPORT = 96,
    BUS_GOSSIP_FLAGS = 98,
    BUS_GOSSIP_PPORT = 100,
    BUS_GOSSIP_SIZE = 104
};

/* An extension: u32 length with this header, a multiple of 8; u16 type; u16 unused; data. */
enum bus_extension_offset {
    BUS_EXT_LENGTH = 0,
    BUS_EXT_TYPE = 4,
    BUS_EXT_DATA = 8,
    BUS_EXT_FORGOTTEN_TTL = 48, /* u64, seconds, after the name */
    BUS_EXT_FORGOTTEN_SIZE = 56,
    BUS_EXT_SHARD_SIZE = 48,
};

/* 4 and above mean different things to Redis 7.4 and Valkey 8.1. */
enum bus_extension_type {
    BUS_EXT_HOSTNAME = 0,   /* text with NUL; the only one of 7.0 */
    BUS_EXT_HUMAN_NAME = 1, /* text with NUL */
    BUS_EXT_FORGOTTEN = 2,  /* name, ttl */
    BUS_EXT_SHARD_ID = 3,   /* name */
};
#define BUS_EXT_TEXT_MAX 255 /* bytes of text without the NUL */

/* Bodies, from the end of the header. */
enum bus_body_offset {
    BUS_FAIL_NAME = 0,
    BUS_FAIL_SIZE = 40,
    BUS_UPDATE_EPOCH = 0,
    BUS_UPDATE_NAME = 8,
    BUS_UPDATE_SLOTS = 48,
    BUS_UPDATE_SIZE = 2096,
    BUS_PUBLISH_CHANNEL_LEN = 0,
    BUS_PUBLISH_MESSAGE_LEN = 4,
    BUS_PUBLISH_DATA = 8,
    BUS_MODULE_ID = 0, /* in the sender's byte order */
    BUS_MODULE_LEN = 8,
    BUS_MODULE_TYPE = 12,
    BUS_MODULE_DATA = 13,
};

static inline uint16_t bus_load16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof(v));
    return be16toh(v);
}

static inline uint32_t bus_load32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return be32toh(v);
}

static inline uint64_t bus_load64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return be64toh(v);
}

static inline void bus_store16(uint8_t *at, uint16_t v)
{
    v = htobe16(v);
    memcpy(at, &v, sizeof(v));
}

static inline void bus_store32(uint8_t *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof(v));
}

static inline void bus_store64(uint8_t *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, sizeof(v));
}

static inline bool bus_slot_get(const uint8_t *slots, unsigned slot)
{
    return slots[slot / 8] >> (slot % 8) & 1;
}

static inline void bus_slot_set(uint8_t *slots, unsigned slot, bool on)
{
    uint8_t bit = (uint8_t)(1 << (slot % 8));
    slots[slot / 8] = (uint8_t)(on ? slots[slot / 8] | bit : slots[slot / 8] & ~bit);
}
