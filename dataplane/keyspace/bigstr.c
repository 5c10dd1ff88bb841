#include "bigstr.h"
#include <stdatomic.h>
#include "check.h"
#include "ks_memory.h"

/* A tree of chunks, height 0: the chunk alone. A missing child, and what lies behind a chunk's used
 * bytes, reads as zeros. Nodes and chunks are shared between versions and never change while more
 * than one version can see them.
 *
 * Memory ordering: a count is raised relaxed by a holder of another reference; put is
 * acquire-release, so that whoever frees sees all that other holders did before. */

#define FANOUT 63 /* a node is 512 bytes */
#define HEIGHT_MAX 6

struct part {
    _Atomic(uint32_t) refs;
    uint32_t left; /* node being freed: children to go; chunk: bytes used */
};

struct chunk {
    struct part part;
    uint8_t data[];
};

struct node {
    struct part part;
    struct part *child[FANOUT];
};

struct bigstr {
    _Atomic(uint32_t) refs; /* 0: being freed in pieces */
    uint32_t height;
    size_t len;
    size_t mem_bytes;
    size_t fresh_bytes;        /* of them not shared with base */
    const struct bigstr *base; /* compared only */
    struct part *root;
};

static const uint8_t zeros[BIGSTR_CHUNK];

static size_t chunk_bytes(const struct part *chunk)
{
    return sizeof(struct chunk) + chunk->left;
}

/* Bytes of string under a child at height - 1. */
static size_t span_below(unsigned height)
{
    size_t span = BIGSTR_CHUNK;
    while (--height > 0)
        span *= FANOUT;
    return span;
}

static size_t span_of(unsigned height)
{
    return height == 0 ? BIGSTR_CHUNK : span_below(height) * FANOUT;
}

static void part_get(struct part *part)
{
    if (part)
        atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
}

static bool part_put(struct part *part)
{
    return atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) == 1;
}

static void part_free(struct part *part, unsigned height)
{
    ks_mem_free(part, height ? sizeof(struct node) : chunk_bytes(part));
}

/* Takes one part out of a tree whose root is owned alone (count 0). True: nothing is left. */
static bool tree_dismantle_one(struct part **root, unsigned height)
{
    struct part **at = root;
    while (height > 0) {
        struct node *node = (struct node *)*at;
        while (node->part.left > 0 && !node->child[node->part.left - 1])
            node->part.left--;
        if (node->part.left == 0)
            break;
        struct part **child = &node->child[node->part.left - 1];
        /* Count 0: it became ours in an earlier round. */
        if (atomic_load_explicit(&(*child)->refs, memory_order_acquire) != 0 && !part_put(*child)) {
            *child = NULL;
            return false;
        }
        at = child;
        height--;
    }
    part_free(*at, height);
    *at = NULL;
    return at == root;
}

bool bigstr_put_some(struct bigstr *b, uint32_t *budget)
{
    if (atomic_load_explicit(&b->refs, memory_order_acquire) != 0) {
        if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
            return true;
        if (b->root && !part_put(b->root))
            b->root = NULL;
    }
    while (b->root) {
        if (*budget == 0)
            return false;
        --*budget;
        tree_dismantle_one(&b->root, b->height);
    }
    ks_mem_free(b, sizeof(*b));
    return true;
}

void bigstr_put(struct bigstr *b)
{
    for (uint32_t budget = UINT32_MAX; !bigstr_put_some(b, &budget); budget = UINT32_MAX) {
    }
}

static void tree_put(struct part *root, unsigned height)
{
    if (!root || !part_put(root))
        return;
    while (!tree_dismantle_one(&root, height)) {
    }
}

/* One write on its way down. */
struct write {
    struct slice data;
    size_t offset; /* of data in the string */
    unsigned old_height;
    size_t added_bytes;
    size_t replaced_bytes;
};

static struct part *chunk_write(struct write *w, const struct part *old, size_t base)
{
    size_t begin = w->offset > base ? w->offset - base : 0;
    size_t end = w->offset + w->data.len - base;
    if (end > BIGSTR_CHUNK)
        end = BIGSTR_CHUNK;
    size_t used = old ? old->left : 0;
    size_t keep = used;
    if (used < end)
        used = end;
    struct chunk *chunk = ks_mem_alloc(sizeof(*chunk) + used);
    if (!chunk)
        return NULL;
    atomic_init(&chunk->part.refs, 1);
    chunk->part.left = (uint32_t)used;
    if (keep)
        memcpy(chunk->data, ((const struct chunk *)old)->data, keep);
    if (begin > keep)
        memset(chunk->data + keep, 0, begin - keep);
    memcpy(chunk->data + begin, w->data.data + (base + begin - w->offset), end - begin);
    w->added_bytes += ks_mem_usable(chunk_bytes(&chunk->part));
    w->replaced_bytes += old ? ks_mem_usable(chunk_bytes(old)) : 0;
    return &chunk->part;
}

/* The old tree's child at height; a tree lower than that hangs under the first child. */
static struct part *old_child(const struct write *w, struct part *old, unsigned height, unsigned i)
{
    if (height > w->old_height)
        return i == 0 ? old : NULL;
    return old ? ((struct node *)old)->child[i] : NULL;
}

static struct node *node_new(struct write *w)
{
    struct node *node = ks_mem_alloc(sizeof(*node));
    if (!node)
        return NULL;
    atomic_init(&node->part.refs, 1);
    node->part.left = FANOUT;
    memset(node->child, 0, sizeof(node->child));
    w->added_bytes += sizeof(*node);
    return node;
}

/* The whole old tree under as many new levels as height needs. */
static struct part *tree_lift(struct write *w, struct part *old, unsigned height)
{
    part_get(old);
    for (unsigned h = w->old_height + 1; h <= height; h++) {
        struct node *node = node_new(w);
        if (!node) {
            tree_put(old, h - 1);
            return NULL;
        }
        node->child[0] = old;
        old = &node->part;
    }
    return old;
}

/* The subtree at height that begins at base, with the data in it. Depth is bounded by HEIGHT_MAX.
 */
static struct part *tree_write(struct write *w, struct part *old, unsigned height, size_t base)
{
    if (height == 0)
        return chunk_write(w, old, base);
    struct node *node = node_new(w);
    if (!node)
        return NULL;
    size_t span = span_below(height);
    for (unsigned i = 0; i < FANOUT; i++) {
        size_t child_base = base + i * span;
        struct part *child = old_child(w, old, height, i);
        bool touched = child_base < w->offset + w->data.len && child_base + span > w->offset;
        /* A lower tree passes through the levels that are new to it. */
        bool lifted = child && height - 1 > w->old_height;
        if (!touched && !lifted) {
            part_get(child);
            node->child[i] = child;
            continue;
        }
        node->child[i] = touched ? tree_write(w, child, height - 1, child_base)
                                 : tree_lift(w, child, height - 1);
        if (!node->child[i]) {
            tree_put(&node->part, height);
            return NULL;
        }
    }
    w->replaced_bytes += old && height <= w->old_height ? sizeof(*node) : 0;
    return &node->part;
}

static struct bigstr *version_new(const struct bigstr *from, size_t len)
{
    struct bigstr *b = ks_mem_alloc(sizeof(*b));
    if (!b)
        return NULL;
    *b = (struct bigstr){.height = from->height, .len = len, .base = from};
    atomic_init(&b->refs, 1);
    b->fresh_bytes = ks_mem_usable(sizeof(*b));
    return b;
}

struct bigstr *bigstr_write(const struct bigstr *b, size_t offset, struct slice data)
{
    size_t end;
    if (__builtin_add_overflow(offset, data.len, &end) || end > span_of(HEIGHT_MAX))
        return NULL;
    struct bigstr *written = version_new(b, end > b->len ? end : b->len);
    if (!written)
        return NULL;
    if (data.len == 0) {
        part_get(b->root);
        written->root = b->root;
        written->mem_bytes = b->mem_bytes;
        return written;
    }
    struct write w = {.data = data, .offset = offset, .old_height = b->height};
    while (span_of(written->height) < end)
        written->height++;
    written->root = tree_write(&w, b->root, written->height, 0);
    if (!written->root) {
        ks_mem_free(written, sizeof(*written));
        return NULL;
    }
    written->mem_bytes = b->mem_bytes + w.added_bytes - w.replaced_bytes;
    written->fresh_bytes += w.added_bytes;
    return written;
}

struct bigstr *bigstr_new(struct slice value)
{
    const struct bigstr empty = {.mem_bytes = ks_mem_usable(sizeof(empty))};
    struct bigstr *b = bigstr_write(&empty, 0, value);
    if (b)
        b->base = NULL;
    return b;
}

struct bigstr *bigstr_get(struct bigstr *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

size_t bigstr_len(const struct bigstr *b)
{
    return b->len;
}

size_t bigstr_mem_bytes(const struct bigstr *b)
{
    return b->mem_bytes;
}

size_t bigstr_shared_bytes(const struct bigstr *b, const struct bigstr *from)
{
    if (b == from)
        return b->mem_bytes;
    return b->base == from && b->mem_bytes > b->fresh_bytes ? b->mem_bytes - b->fresh_bytes : 0;
}

struct slice bigstr_peek(const struct bigstr *b, size_t offset)
{
    if (offset >= b->len)
        return slice_from(zeros, 0);
    const struct part *part = offset < span_of(b->height) ? b->root : NULL;
    size_t in = offset;
    for (unsigned height = b->height; part && height > 0; height--) {
        size_t span = span_below(height);
        part = ((const struct node *)part)->child[in / span];
        in %= span;
    }
    in = offset % BIGSTR_CHUNK;
    size_t rest = BIGSTR_CHUNK - in;
    if (rest > b->len - offset)
        rest = b->len - offset;
    if (!part || in >= part->left)
        return slice_from(zeros, rest);
    size_t used = part->left - in;
    return slice_from(((const struct chunk *)part)->data + in, used < rest ? used : rest);
}

void bigstr_copy(const struct bigstr *b, size_t offset, size_t len, uint8_t *dst)
{
    while (len > 0) {
        struct slice piece = bigstr_peek(b, offset);
        CHECK(piece.len > 0);
        size_t n = piece.len < len ? piece.len : len;
        memcpy(dst, piece.data, n);
        dst += n;
        offset += n;
        len -= n;
    }
}
