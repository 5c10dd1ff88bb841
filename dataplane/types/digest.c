#include "digest.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "bigstr.h"
#include "check.h"
#include "hash.h"
#include "list.h"
#include "set.h"

/* One hash costs about as much as so many elements elsewhere. */
#define SHA1_ELEMENTS 4

struct digester {
    EVP_MD *sha1;
    EVP_MD_CTX *context;
};

struct digester *digester_new(void)
{
    struct digester *dg = calloc(1, sizeof(*dg));
    if (!dg)
        return NULL;
    dg->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    dg->context = EVP_MD_CTX_new();
    if (!dg->sha1 || !dg->context) {
        digester_free(dg);
        return NULL;
    }
    return dg;
}

void digester_free(struct digester *dg)
{
    if (!dg)
        return;
    EVP_MD_CTX_free(dg->context);
    EVP_MD_free(dg->sha1);
    free(dg);
}

static void sha1_begin(struct digester *dg)
{
    CHECK(EVP_DigestInit_ex2(dg->context, dg->sha1, NULL) == 1);
}

static void sha1_add(struct digester *dg, struct slice bytes)
{
    CHECK(EVP_DigestUpdate(dg->context, bytes.data, bytes.len) == 1);
}

static struct digest sha1_end(struct digester *dg)
{
    struct digest d;
    CHECK(EVP_DigestFinal_ex(dg->context, d.bytes, NULL) == 1);
    return d;
}

static struct digest sha1_of(struct digester *dg, struct slice bytes)
{
    sha1_begin(dg);
    sha1_add(dg, bytes);
    return sha1_end(dg);
}

static void digest_xor_hash(struct digest *d, const struct digest *hash)
{
    for (unsigned i = 0; i < DIGEST_BYTES; i++)
        d->bytes[i] ^= hash->bytes[i];
}

static void digest_xor(struct digester *dg, struct digest *d, struct slice bytes)
{
    struct digest hash = sha1_of(dg, bytes);
    digest_xor_hash(d, &hash);
}

static void digest_mix_hash(struct digester *dg, struct digest *d, const struct digest *hash)
{
    digest_xor_hash(d, hash);
    *d = sha1_of(dg, slice_from(d->bytes, DIGEST_BYTES));
}

static void digest_mix(struct digester *dg, struct digest *d, struct slice bytes)
{
    struct digest hash = sha1_of(dg, bytes);
    digest_mix_hash(dg, d, &hash);
}

static void digest_mix_u32(struct digester *dg, struct digest *d, uint32_t value)
{
    uint32_t big_endian = htonl(value);
    digest_mix(dg, d, slice_from(&big_endian, sizeof(big_endian)));
}

static void mix_string(struct digester *dg, struct digest *d, const struct entry *e)
{
    const struct bigstr *big = entry_big(e);
    if (!big) {
        digest_mix(dg, d, entry_string(e));
        return;
    }
    sha1_begin(dg);
    size_t at = 0;
    for (struct slice piece = bigstr_peek(big, 0); piece.len > 0; piece = bigstr_peek(big, at)) {
        sha1_add(dg, piece);
        at += piece.len;
    }
    struct digest hash = sha1_end(dg);
    digest_mix_hash(dg, d, &hash);
}

static void mix_list(struct digester *dg, struct digest *d, const struct list *l,
                     const struct pace *pace)
{
    char text[NUMBER_TEXT_SIZE];
    for (struct quicklist_pos at = quicklist_seek(&l->elements, 0); at.node;
         at = quicklist_next(at)) {
        digest_mix(dg, d, quicklist_get(at, text));
        pace_step(pace, SHA1_ELEMENTS);
    }
}

static void mix_set(struct digester *dg, struct digest *d, const struct set *s,
                    const struct pace *pace)
{
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member)) {
        digest_xor(dg, d, member);
        pace_step(pace, SHA1_ELEMENTS);
    }
}

static void mix_hash(struct digester *dg, struct digest *d, const struct hash *h,
                     const struct pace *pace)
{
    struct hash_iter it;
    struct hash_item item;
    hash_iter_init(&it, h);
    while (hash_iter_next(&it, &item)) {
        struct digest pair = {{0}};
        digest_mix(dg, &pair, item.field);
        digest_mix(dg, &pair, item.value);
        digest_xor(dg, d, slice_from(pair.bytes, DIGEST_BYTES));
        pace_step(pace, 5 * SHA1_ELEMENTS);
    }
}

static void mix_value(struct digester *dg, struct digest *d, const struct entry *e,
                      const struct pace *pace)
{
    digest_mix_u32(dg, d, entry_type(e));
    switch (entry_type(e)) {
    case OBJ_STRING:
        mix_string(dg, d, e);
        break;
    case OBJ_LIST:
        mix_list(dg, d, entry_object(e), pace);
        break;
    case OBJ_SET:
        mix_set(dg, d, entry_object(e), pace);
        break;
    default:
        CHECK(entry_type(e) == OBJ_HASH);
        mix_hash(dg, d, entry_object(e), pace);
        break;
    }
    if (entry_expiry_ms(e) != EXPIRY_NONE)
        digest_xor(dg, d, slice_str("!!expire!!"));
}

struct digest digest_value(struct digester *dg, const struct entry *e, const struct pace *pace)
{
    struct digest d = {{0}};
    mix_value(dg, &d, e, pace);
    return d;
}

struct digest digest_dataset_begin(struct digester *dg, uint32_t database)
{
    struct digest d = {{0}};
    digest_mix_u32(dg, &d, database);
    return d;
}

void digest_dataset_add(struct digester *dg, struct digest *all, const struct entry *e,
                        const struct pace *pace)
{
    struct digest d = {{0}};
    digest_mix(dg, &d, entry_key(e));
    mix_value(dg, &d, e, pace);
    digest_xor(dg, all, slice_from(d.bytes, DIGEST_BYTES));
}

void digest_text(const struct digest *d, char text[DIGEST_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < DIGEST_BYTES; i++) {
        text[2 * i] = digits[d->bytes[i] >> 4];
        text[2 * i + 1] = digits[d->bytes[i] & 15];
    }
    text[2 * DIGEST_BYTES] = '\0';
}
