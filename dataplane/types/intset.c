#include "intset.h"
#include <stdlib.h>
#include "check.h"

#define COUNT_MAX ((uint32_t)1 << 30)

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t width_of(int64_t value)
{
    if (value >= INT16_MIN && value <= INT16_MAX)
        return 2;
    return value >= INT32_MIN && value <= INT32_MAX ? 4 : 8;
}

static int64_t member_read(const uint8_t *members, uint32_t width, uint32_t index)
{
    const uint8_t *p = members + (size_t)index * width;
    if (width == 2)
        return (int16_t)(p[0] | p[1] << 8);
    if (width == 4)
        return (int32_t)load32(p);
    return (int64_t)(load32(p) | (uint64_t)load32(p + 4) << 32);
}

static void member_write(uint8_t *members, uint32_t width, uint32_t index, int64_t value)
{
    uint8_t *p = members + (size_t)index * width;
    for (uint32_t i = 0; i < width; i++)
        p[i] = (uint8_t)((uint64_t)value >> (8 * i));
}

uint8_t *intset_new(void)
{
    uint8_t *is = malloc(INTSET_HEADER_BYTES);
    if (!is)
        return NULL;
    store32(is, 2);
    store32(is + 4, 0);
    return is;
}

uint32_t intset_count(const uint8_t *is)
{
    return load32(is + 4);
}

size_t intset_bytes(const uint8_t *is)
{
    return INTSET_HEADER_BYTES + (size_t)intset_count(is) * load32(is);
}

uint8_t *intset_copy(const uint8_t *is)
{
    size_t bytes = intset_bytes(is);
    uint8_t *copy = malloc(bytes);
    if (copy)
        memcpy(copy, is, bytes);
    return copy;
}

int64_t intset_at(const uint8_t *is, uint32_t index)
{
    CHECK_DEBUG(index < intset_count(is));
    return member_read(is + INTSET_HEADER_BYTES, load32(is), index);
}

/* Index of the first member that is not below value; *found: it is value. */
static uint32_t lower_bound(const uint8_t *is, int64_t value, bool *found)
{
    uint32_t width = load32(is), count = intset_count(is);
    const uint8_t *members = is + INTSET_HEADER_BYTES;
    uint32_t low = 0, high = count;
    /* Members often come in ascending order. */
    if (count > 0 && member_read(members, width, count - 1) < value)
        low = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (member_read(members, width, middle) < value)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < count && member_read(members, width, low) == value;
    return low;
}

bool intset_contains(const uint8_t *is, int64_t value)
{
    bool found;
    lower_bound(is, value, &found);
    return found;
}

/* Rewrites the members with more bytes each, from the last one on since they grow in place. */
static void widen(uint8_t *is, uint32_t width)
{
    uint32_t old_width = load32(is);
    uint8_t *members = is + INTSET_HEADER_BYTES;
    for (uint32_t i = intset_count(is); i-- > 0;)
        member_write(members, width, i, member_read(members, old_width, i));
    store32(is, width);
}

enum intset_result intset_add(uint8_t **set, int64_t value)
{
    bool found;
    uint32_t place = lower_bound(*set, value, &found);
    if (found)
        return INTSET_UNCHANGED;
    uint32_t count = intset_count(*set), width = load32(*set);
    CHECK(count < COUNT_MAX);
    uint32_t wanted = width_of(value) > width ? width_of(value) : width;
    uint8_t *is = realloc(*set, INTSET_HEADER_BYTES + (size_t)(count + 1) * wanted);
    if (!is)
        return INTSET_NO_MEMORY;
    if (wanted > width)
        widen(is, wanted);
    uint8_t *at = is + INTSET_HEADER_BYTES + (size_t)place * wanted;
    memmove(at + wanted, at, (size_t)(count - place) * wanted);
    member_write(is + INTSET_HEADER_BYTES, wanted, place, value);
    store32(is + 4, count + 1);
    *set = is;
    return INTSET_CHANGED;
}

bool intset_remove(uint8_t **set, int64_t value)
{
    bool found;
    uint32_t place = lower_bound(*set, value, &found);
    if (!found)
        return false;
    uint8_t *is = *set;
    uint32_t count = intset_count(is), width = load32(is);
    uint8_t *at = is + INTSET_HEADER_BYTES + (size_t)place * width;
    memmove(at, at + width, (size_t)(count - place - 1) * width);
    store32(is + 4, count - 1);
    uint8_t *smaller = realloc(is, intset_bytes(is));
    *set = smaller ? smaller : is;
    return true;
}

bool intset_validate(struct slice blob)
{
    if (blob.len < INTSET_HEADER_BYTES)
        return false;
    uint32_t width = load32(blob.data), count = load32(blob.data + 4);
    if (width != 2 && width != 4 && width != 8)
        return false;
    if ((blob.len - INTSET_HEADER_BYTES) / width != count ||
        (blob.len - INTSET_HEADER_BYTES) % width != 0)
        return false;
    for (uint32_t i = 1; i < count; i++) {
        if (intset_at(blob.data, i - 1) >= intset_at(blob.data, i))
            return false;
    }
    return true;
}
