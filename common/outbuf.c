#include "outbuf.h"
#include <stdlib.h>

#define BLOCK_FIRST_SIZE 512
#define BLOCK_SECOND_SIZE 4096
#define BLOCK_LATER_SIZE 16384

_Static_assert(BLOCK_LATER_SIZE - sizeof(struct outbuf_block) >= OUTBUF_EXACT_MAX,
               "reserve_exact must fit into one block");

/* A block whose bytes belong to somebody else. The two kinds are told apart by where data points.
 */
struct outbuf_ref {
    struct outbuf_block block;
    void (*release)(void *arg); /* NULL: a later piece of the same reference releases it, or done */
    void *arg;
};

static bool block_is_ref(const struct outbuf_block *block)
{
    return block->data != (const uint8_t *)(block + 1);
}

static size_t block_mem_bytes(const struct outbuf_block *block)
{
    if (block_is_ref(block))
        return sizeof(struct outbuf_ref) + block->len;
    return sizeof(*block) + block->capacity;
}

/* Small queues stay small; a queue that grows, or one large reply, gets large blocks. */
static size_t block_size_for(const struct outbuf *out, size_t want)
{
    size_t need = want + sizeof(struct outbuf_block);
    if (out->block_count == 0 && need <= BLOCK_FIRST_SIZE)
        return BLOCK_FIRST_SIZE;
    if (out->block_count <= 1 && need <= BLOCK_SECOND_SIZE)
        return BLOCK_SECOND_SIZE;
    return BLOCK_LATER_SIZE;
}

static void block_link(struct outbuf *out, struct outbuf_block *block)
{
    block->next = NULL;
    block->prev = out->tail;
    if (out->tail)
        out->tail->next = block;
    else
        out->head = block;
    out->tail = block;
    out->block_count++;
    out->mem_bytes += block_mem_bytes(block);
}

static void ref_release(struct outbuf_block *block)
{
    struct outbuf_ref *ref = container_from(block, struct outbuf_ref, block);
    void (*release)(void *) = ref->release;
    ref->release = NULL;
    if (release)
        release(ref->arg);
}

/* Unlinks and frees; a reference is released first. */
static void block_free(struct outbuf *out, struct outbuf_block *block)
{
    if (block->prev)
        block->prev->next = block->next;
    else
        out->head = block->next;
    if (block->next)
        block->next->prev = block->prev;
    else
        out->tail = block->prev;
    out->block_count--;
    out->mem_bytes -= block_mem_bytes(block);
    if (block_is_ref(block)) {
        ref_release(block);
        free(container_from(block, struct outbuf_ref, block));
    } else {
        free(block);
    }
}

void outbuf_init(struct outbuf *out)
{
    *out = (struct outbuf){0};
}

void outbuf_clear(struct outbuf *out)
{
    while (out->head)
        block_free(out, out->head);
    outbuf_init(out);
}

uint8_t *outbuf_grow(struct outbuf *out, size_t want)
{
    CHECK(want <= OUTBUF_EXACT_MAX);
    size_t size = block_size_for(out, want);
    struct outbuf_block *block = malloc(size);
    CHECK(block);
    block->data = (uint8_t *)(block + 1);
    block->len = 0;
    block->capacity = (uint32_t)(size - sizeof(*block));
    block_link(out, block);
    return block->data;
}

uint8_t *outbuf_reserve(struct outbuf *out, size_t want, size_t *got)
{
    CHECK(want > 0);
    if (outbuf_tail_room(out) == 0)
        outbuf_grow(out, want < OUTBUF_EXACT_MAX ? want : OUTBUF_EXACT_MAX);
    size_t room = outbuf_tail_room(out);
    *got = want < room ? want : room;
    return out->tail->data + out->tail->len;
}

void outbuf_append_slow(struct outbuf *out, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t got;
        uint8_t *dst = outbuf_reserve(out, len, &got);
        memcpy(dst, data, got);
        outbuf_commit(out, got);
        data += got;
        len -= got;
    }
}

void outbuf_append_ref(struct outbuf *out, const uint8_t *data, size_t len,
                       void (*release)(void *arg), void *arg)
{
    if (len == 0) {
        if (release)
            release(arg);
        return;
    }
    /* Offsets inside a block have 32 bits; blocks leave in order, so the last piece releases. */
    while (len > 0) {
        size_t piece = len < UINT32_MAX ? len : UINT32_MAX;
        struct outbuf_ref *ref = malloc(sizeof(*ref));
        CHECK(ref);
        ref->block.data = (uint8_t *)(uintptr_t)data;
        ref->block.len = (uint32_t)piece;
        ref->block.capacity = (uint32_t)piece;
        ref->release = piece == len ? release : NULL;
        ref->arg = arg;
        block_link(out, &ref->block);
        out->len += piece;
        data += piece;
        len -= piece;
    }
}

void outbuf_splice(struct outbuf *out, struct outbuf *from)
{
    CHECK(from->head_skip == 0);
    if (!from->head)
        return;
    from->head->prev = out->tail;
    if (out->tail)
        out->tail->next = from->head;
    else
        out->head = from->head;
    out->tail = from->tail;
    out->block_count += from->block_count;
    out->len += from->len;
    out->mem_bytes += from->mem_bytes;
    outbuf_init(from);
}

void outbuf_truncate(struct outbuf *out, size_t len)
{
    CHECK(len <= out->len);
    out->len -= len;
    if (out->len == 0) {
        for (struct outbuf_block *b = out->tail; b && len > 0; b = b->prev) {
            CHECK(!block_is_ref(b));
            len -= len < b->len ? len : b->len;
        }
        outbuf_clear(out);
        return;
    }
    while (len > 0) {
        struct outbuf_block *block = out->tail;
        CHECK(!block_is_ref(block));
        size_t piece = len < block->len ? len : block->len;
        block->len -= (uint32_t)piece;
        len -= piece;
        if (block->len == 0)
            block_free(out, block);
    }
}

void outbuf_cursor_reset(const struct outbuf *out, struct outbuf_cursor *cursor)
{
    cursor->block = out->head;
    cursor->block_offset = out->head_skip;
}

/* A cursor that was reset on an empty queue starts at the head that came since. */
static struct outbuf_cursor cursor_resolve(const struct outbuf *out,
                                           const struct outbuf_cursor *cursor)
{
    struct outbuf_cursor place = *cursor;
    if (!place.block)
        outbuf_cursor_reset(out, &place);
    return place;
}

void outbuf_copy(const struct outbuf *out, struct outbuf_cursor *cursor, uint8_t *dst, size_t len)
{
    *cursor = cursor_resolve(out, cursor);
    while (len > 0) {
        struct outbuf_block *block = cursor->block;
        CHECK(block);
        size_t piece = block->len - cursor->block_offset;
        if (piece == 0) {
            cursor->block = block->next;
            cursor->block_offset = 0;
            continue;
        }
        if (piece > len)
            piece = len;
        memcpy(dst, block->data + cursor->block_offset, piece);
        cursor->block_offset += (uint32_t)piece;
        dst += piece;
        len -= piece;
    }
}

struct slice outbuf_peek(const struct outbuf *out, const struct outbuf_cursor *cursor)
{
    struct outbuf_cursor place = cursor_resolve(out, cursor);
    while (place.block && place.block->len == place.block_offset) {
        place.block = place.block->next;
        place.block_offset = 0;
    }
    if (!place.block)
        return slice_from(NULL, 0);
    return slice_from(place.block->data + place.block_offset,
                      place.block->len - place.block_offset);
}

void outbuf_seek(const struct outbuf *out, struct outbuf_cursor *cursor, size_t offset)
{
    CHECK(offset <= out->len);
    outbuf_cursor_reset(out, cursor);
    while (offset > 0) {
        size_t left = cursor->block->len - cursor->block_offset;
        if (offset <= left) {
            cursor->block_offset += (uint32_t)offset;
            return;
        }
        offset -= left;
        cursor->block = cursor->block->next;
        cursor->block_offset = 0;
    }
}

void outbuf_drop(struct outbuf *out, size_t len)
{
    CHECK(len <= out->len);
    if (len == 0)
        return;
    out->len -= len;
    if (out->len == 0) {
        outbuf_clear(out);
        return;
    }
    while (len > 0) {
        struct outbuf_block *block = out->head;
        size_t left = block->len - out->head_skip;
        if (len <= left) {
            out->head_skip += (uint32_t)len;
            break;
        }
        len -= left;
        block_free(out, block);
        out->head_skip = 0;
    }
    if (out->head_skip == out->head->len && block_is_ref(out->head))
        ref_release(out->head);
}

size_t outbuf_take(struct outbuf *out, uint8_t *dst, size_t max)
{
    struct outbuf_cursor cursor;
    size_t len = out->len < max ? out->len : max;
    outbuf_cursor_reset(out, &cursor);
    outbuf_copy(out, &cursor, dst, len);
    outbuf_drop(out, len);
    return len;
}
