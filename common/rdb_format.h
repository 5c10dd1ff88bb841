/* Numbers of the RDB format that DUMP payloads, RDB files and full syncs share (facts of Redis 2.x
 * to 7.2). */
#pragma once

#define RDB_VERSION_WRITTEN 10 /* what Redis 7.0 reads */
#define RDB_VERSION_MAX 11     /* Redis 7.2 */

/* The type byte before a value. */
enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3,
    RDB_HASH = 4,
    RDB_ZSET_2 = 5,
    RDB_MODULE = 6,
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14,
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_TYPES,
};

/* How a node of RDB_LIST_QUICKLIST_2 is held. */
enum rdb_container { RDB_CONTAINER_PLAIN = 1, RDB_CONTAINER_PACKED = 2 };

/* A length: the two highest bits of its first byte; the third kind has two forms. */
enum {
    RDB_LEN_6 = 0x00,
    RDB_LEN_14 = 0x40,
    RDB_LEN_32 = 0x80,
    RDB_LEN_64 = 0x81,
    RDB_LEN_KIND = 0xC0,
    RDB_LEN_ENCODED = 0xC0, /* no length: the string is encoded as the other six bits say */
};
enum { RDB_ENC_INT8 = 0, RDB_ENC_INT16 = 1, RDB_ENC_INT32 = 2, RDB_ENC_LZF = 3 };

/* Shorter strings are tried as integers, longer ones are tried to be compressed. */
#define RDB_INTEGER_TEXT_MAX 11
#define RDB_COMPRESS_MIN 20
