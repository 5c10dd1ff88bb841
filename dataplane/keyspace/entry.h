/* One key with its value, as every lcore sees it.
 *
 * A small string is one immutable allocation: header (at most 6 bytes), expiry if any (8), key,
 * value; a write replaces it. Large strings (over ENTRY_EMBED_MAX) and aggregates hang off a
 * pointer that a replacement entry takes over. An entry that a reader found lives until the
 * reader's next quiescent state. Aggregates change in place, under the slot's lock only, and are
 * read under it only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "slice.h"

/* Redis' numbers: DEBUG DIGEST and RDB use them. */
enum obj_type {
    OBJ_STRING,
    OBJ_LIST,
    OBJ_SET,
    OBJ_ZSET,
    OBJ_HASH,
    OBJ_MODULE,
    OBJ_STREAM,
    OBJ_TYPES
};

enum obj_encoding {
    ENC_INT,    /* string that is a canonical 64-bit integer */
    ENC_EMBSTR, /* string of at most 44 bytes that no in-place command has changed */
    ENC_RAW,
    ENC_LISTPACK,
    ENC_INTSET,
    ENC_HASHTABLE,
    ENC_QUICKLIST,
    ENC_SKIPLIST,
    ENC_STREAM,
};

#define ENTRY_EMBED_MAX 4096 /* bytes of a string value inside the entry; above: struct bigstr */
#define EXPIRY_NONE (-1)

struct entry;
struct bigstr;

enum obj_type entry_type(const struct entry *e);
enum obj_encoding entry_encoding(const struct entry *e);
const char *entry_type_name(enum obj_type t);         /* "string", "list" … */
const char *entry_encoding_name(enum obj_encoding e); /* "int", "embstr" … */
struct slice entry_key(const struct entry *e);
/* Unix time in ms, or EXPIRY_NONE. */
int64_t entry_expiry_ms(const struct entry *e);
/* The value of a string held inside; large ones: entry_big() is not NULL. */
struct slice entry_string(const struct entry *e);
struct bigstr *entry_big(const struct entry *e);
/* Length of a string value, wherever it is. */
size_t entry_string_len(const struct entry *e);
/* The aggregate (struct hash *, struct list * …). */
void *entry_object(const struct entry *e);
/* Seconds since last access (LRU), and the LFU counter, by the policy in force. */
uint64_t entry_idle_s(const struct entry *e, int64_t now_ms);
uint8_t entry_frequency(const struct entry *e, int64_t now_ms);
/* The other way, for a value that comes from elsewhere: after ks_put(), its slot still locked. */
void entry_idle_set(struct entry *e, int64_t now_ms, uint64_t idle_s);
void entry_frequency_set(struct entry *e, int64_t now_ms, uint8_t frequency);
/* Bytes of the allocation, without the object. */
size_t entry_mem_bytes(const struct entry *e);
