/* Untrusted bytes as a listpack, as a hash's listpack and as an intset: what validates must be safe
 * to walk in both directions, to search and to change. */
#include <stdlib.h>
#include "check.h"
#include "hash.h"
#include "intset.h"
#include "listpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void listpack_use(uint8_t *lp, size_t count)
{
    char text[NUMBER_TEXT_SIZE];
    size_t forward = 0, backward = 0;
    for (const uint8_t *p = listpack_first(lp); p; p = listpack_next(p)) {
        struct listpack_needle needle = listpack_needle(listpack_get(p, text));
        CHECK(listpack_find(p, &needle, 0));
        forward++;
    }
    for (const uint8_t *p = listpack_last(lp); p; p = listpack_prev(lp, p))
        backward++;
    CHECK(forward == count);
    CHECK(backward == count);
    const uint8_t *middle = listpack_seek(lp, (int64_t)count / 2);
    CHECK((middle != NULL) == (count > 0));
    if (middle)
        CHECK(listpack_replace(&lp, middle, slice_str("123456")));
    CHECK(listpack_append(&lp, slice_str("tail")));
    CHECK(listpack_validate(slice_from(lp, listpack_bytes(lp)), NULL));
    listpack_delete(&lp, listpack_first(lp), count + 1);
    CHECK(listpack_count(lp) == 0);
    free(lp);
}

static void intset_use(uint8_t *is)
{
    for (uint32_t i = 0; i < intset_count(is); i++)
        CHECK(intset_contains(is, intset_at(is, i)));
    CHECK(intset_add(&is, INT64_MIN) != INTSET_NO_MEMORY);
    CHECK(intset_remove(&is, INT64_MIN));
    CHECK(intset_validate(slice_from(is, intset_bytes(is))));
    free(is);
}

static uint8_t *copy_of(struct slice blob)
{
    uint8_t *copy = malloc(blob.len);
    CHECK(copy);
    memcpy(copy, blob.data, blob.len);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice blob = slice_from(data, size);
    size_t count;
    if (size == 0)
        return 0;
    if (intset_validate(blob))
        intset_use(copy_of(blob));
    if (!listpack_validate(blob, &count))
        return 0;
    listpack_use(copy_of(blob), count);
    if (hash_listpack_validate(blob)) {
        struct hash *h = hash_from_listpack(copy_of(blob));
        CHECK(h);
        hash_validate(h);
        CHECK(hash_convert(h));
        CHECK(hash_count(h) == count / 2);
        hash_validate(h);
        hash_free(h);
    }
    return 0;
}
