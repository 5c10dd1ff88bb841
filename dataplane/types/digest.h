/* SHA-1 digests of values and of the whole data set, the same as Redis' DEBUG DIGEST-VALUE and
 * DEBUG DIGEST compute them, so that two nodes can be compared whatever the order and encoding of
 * what they hold.
 *
 * Elements whose order matters are mixed (digest = SHA1(digest ^ SHA1(element))), others are xored
 * in. Owner: one thread; entries are read under their slot's lock. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "entry.h"
#include "pace.h"
#include "slice.h"

#define DIGEST_BYTES 20

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* The hash function's state. NULL: no memory, or libcrypto has no SHA-1. */
struct digester;
struct digester *digester_new(void);
void digester_free(struct digester *dg);

/* DEBUG DIGEST-VALUE: type, value and whether it expires, not the key. A key that is absent has a
 * digest of zeros. */
struct digest digest_value(struct digester *dg, const struct entry *e, const struct pace *pace);

/* DEBUG DIGEST: begin (for a database number; only when it has keys, else the digest is all zeros),
 * then every entry in any order. */
struct digest digest_dataset_begin(struct digester *dg, uint32_t database);
void digest_dataset_add(struct digester *dg, struct digest *all, const struct entry *e,
                        const struct pace *pace);

/* Forty lower-case hexadecimal digits and a NUL. */
#define DIGEST_TEXT_SIZE (2 * DIGEST_BYTES + 1)
void digest_text(const struct digest *d, char text[DIGEST_TEXT_SIZE]);
