#include "quicklist.h"
#include <stdlib.h>
#include "check.h"
#include "mem.h"

#define COUNTED_NODE_BYTES_MAX 8192
#define ELEMENT_OVERHEAD                                                    \
    8 /* more than encoding and back-length of any element that fits a node \
       */
#define NODE_COUNT_MAX 65000
#define NODE_COPY_BYTES_PER_STEP 1024 /* that cost about as much as one element elsewhere */

/* Largest listpack of a node. */
static size_t node_bytes_max(int fill)
{
    if (fill >= 0)
        return COUNTED_NODE_BYTES_MAX;
    return (size_t)4096 << (fill < -5 ? 4 : -fill - 1);
}

static uint32_t node_count_max(int fill)
{
    if (fill < 0 || fill > NODE_COUNT_MAX)
        return NODE_COUNT_MAX;
    return fill == 0 ? 1 : (uint32_t)fill;
}

static bool value_is_large(struct slice value, int fill)
{
    return value.len + ELEMENT_OVERHEAD + LISTPACK_HEADER_BYTES + 1 > node_bytes_max(fill);
}

static bool node_has_room(const struct quicklist_node *n, struct slice value, int fill)
{
    if (!n || n->plain || n->count >= node_count_max(fill))
        return false;
    return n->bytes + value.len + ELEMENT_OVERHEAD <= node_bytes_max(fill);
}

static size_t node_mem(const struct quicklist_node *n)
{
    return mem_class_bytes(sizeof(*n)) + mem_class_bytes(n->bytes ? n->bytes : 1);
}

/* A node with one element. */
static struct quicklist_node *node_new(struct slice value, int fill)
{
    struct quicklist_node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->count = 1;
    n->plain = value_is_large(value, fill);
    if (n->plain) {
        n->data = malloc(value.len);
        n->bytes = value.len;
        if (n->data)
            memcpy(n->data, value.data, value.len);
    } else {
        n->data = listpack_new();
        if (n->data && !listpack_append(&n->data, value)) {
            free(n->data);
            n->data = NULL;
        }
        n->bytes = n->data ? listpack_bytes(n->data) : 0;
    }
    if (!n->data) {
        free(n);
        return NULL;
    }
    return n;
}

static void node_free(struct quicklist_node *n)
{
    free(n->data);
    free(n);
}

/* Puts n behind after (NULL: at the head) and counts it. */
static void node_link(struct quicklist *q, struct quicklist_node *n, struct quicklist_node *after)
{
    n->prev = after;
    n->next = after ? after->next : q->head;
    if (n->prev)
        n->prev->next = n;
    else
        q->head = n;
    if (n->next)
        n->next->prev = n;
    else
        q->tail = n;
    q->node_count++;
    q->count += n->count;
    q->mem_bytes += node_mem(n);
}

static void node_unlink(struct quicklist *q, struct quicklist_node *n)
{
    if (n->prev)
        n->prev->next = n->next;
    else
        q->head = n->next;
    if (n->next)
        n->next->prev = n->prev;
    else
        q->tail = n->prev;
    q->node_count--;
    q->count -= n->count;
    q->mem_bytes -= node_mem(n);
}

/* After n's listpack was changed, with what it counted before. */
static void node_changed(struct quicklist *q, struct quicklist_node *n, int64_t count_delta)
{
    q->mem_bytes -= node_mem(n);
    n->bytes = listpack_bytes(n->data);
    n->count = (uint32_t)((int64_t)n->count + count_delta);
    q->count = (size_t)((int64_t)q->count + count_delta);
    q->mem_bytes += node_mem(n);
}

void quicklist_init(struct quicklist *q)
{
    *q = (struct quicklist){0};
}

bool quicklist_clear_some(struct quicklist *q, uint32_t budget)
{
    /* A node is two allocations, whatever it holds. */
    for (uint32_t done = 0; q->head; done++) {
        if (done >= budget)
            return false;
        struct quicklist_node *n = q->head;
        node_unlink(q, n);
        node_free(n);
    }
    return true;
}

void quicklist_clear(struct quicklist *q)
{
    CHECK(quicklist_clear_some(q, UINT32_MAX));
}

static struct quicklist_node *node_copy(const struct quicklist_node *from)
{
    struct quicklist_node *n = malloc(sizeof(*n));
    uint8_t *data = malloc(from->bytes);
    if (!n || !data) {
        free(n);
        free(data);
        return NULL;
    }
    *n = *from;
    n->data = data;
    memcpy(data, from->data, from->bytes);
    return n;
}

bool quicklist_copy(const struct quicklist *from, struct quicklist *q, const struct pace *pace)
{
    for (const struct quicklist_node *at = from->head; at; at = at->next) {
        struct quicklist_node *n = node_copy(at);
        if (!n)
            return false;
        node_link(q, n, q->tail);
        pace_step(pace, 1 + (uint32_t)(n->bytes / NODE_COPY_BYTES_PER_STEP));
    }
    return true;
}

static struct quicklist_pos node_first(struct quicklist_node *n)
{
    return (struct quicklist_pos){n, !n || n->plain ? NULL : listpack_first(n->data)};
}

static struct quicklist_pos node_last(struct quicklist_node *n)
{
    return (struct quicklist_pos){n, !n || n->plain ? NULL : listpack_last(n->data)};
}

struct quicklist_pos quicklist_seek(const struct quicklist *q, int64_t index)
{
    struct quicklist_pos none = {NULL, NULL};
    int64_t count = (int64_t)q->count;
    if (index < 0)
        index += count;
    if (index < 0 || index >= count)
        return none;
    struct quicklist_node *n;
    if (index < count / 2) {
        for (n = q->head; index >= n->count; n = n->next)
            index -= n->count;
    } else {
        int64_t from_end = count - 1 - index;
        for (n = q->tail; from_end >= n->count; n = n->prev)
            from_end -= n->count;
        index = (int64_t)n->count - 1 - from_end;
    }
    return (struct quicklist_pos){n, n->plain ? NULL : listpack_seek(n->data, index)};
}

struct quicklist_pos quicklist_next(struct quicklist_pos at)
{
    const uint8_t *p = at.node->plain ? NULL : listpack_next(at.p);
    return p ? (struct quicklist_pos){at.node, p} : node_first(at.node->next);
}

struct quicklist_pos quicklist_prev(struct quicklist_pos at)
{
    const uint8_t *p = at.node->plain ? NULL : listpack_prev(at.node->data, at.p);
    return p ? (struct quicklist_pos){at.node, p} : node_last(at.node->prev);
}

struct slice quicklist_get(struct quicklist_pos at, char buf[NUMBER_TEXT_SIZE])
{
    if (at.node->plain)
        return slice_from(at.node->data, at.node->bytes);
    return listpack_get(at.p, buf);
}

bool quicklist_equal(struct quicklist_pos at, const struct listpack_needle *needle)
{
    if (at.node->plain)
        return slice_equal(slice_from(at.node->data, at.node->bytes), needle->text);
    return listpack_equal(at.p, needle);
}

/* Into n's listpack, before p (NULL: at its end). */
static bool node_insert(struct quicklist *q, struct quicklist_node *n, const uint8_t *p,
                        struct slice value)
{
    if (!listpack_insert(&n->data, p, value))
        return false;
    node_changed(q, n, 1);
    return true;
}

bool quicklist_push(struct quicklist *q, struct slice value, bool at_head, int fill)
{
    struct quicklist_node *end = at_head ? q->head : q->tail;
    if (node_has_room(end, value, fill))
        return node_insert(q, end, at_head ? listpack_first(end->data) : NULL, value);
    struct quicklist_node *n = node_new(value, fill);
    if (!n)
        return false;
    node_link(q, n, at_head ? NULL : q->tail);
    return true;
}

bool quicklist_append_listpack(struct quicklist *q, uint8_t *lp)
{
    struct quicklist_node *n = calloc(1, sizeof(*n));
    if (!n)
        return false;
    n->data = lp;
    n->bytes = listpack_bytes(lp);
    n->count = (uint32_t)listpack_count(lp);
    node_link(q, n, q->tail);
    return true;
}

/* Moves the elements of n from p on to a new node behind it. p is neither NULL nor the first. */
static bool node_split(struct quicklist *q, struct quicklist_node *n, const uint8_t *p)
{
    struct quicklist_node *rest = calloc(1, sizeof(*rest));
    if (!rest)
        return false;
    rest->data = listpack_new();
    if (!rest->data || !listpack_append_from(&rest->data, n->data, p)) {
        free(rest->data);
        free(rest);
        return false;
    }
    rest->bytes = listpack_bytes(rest->data);
    rest->count = (uint32_t)listpack_count(rest->data);
    listpack_delete(&n->data, p, rest->count);
    node_changed(q, n, -(int64_t)rest->count);
    node_link(q, rest, n);
    return true;
}

/* Joins small neighbours that splits and deletions left; failing to is harmless. */
static void node_merge_next(struct quicklist *q, struct quicklist_node *n, int fill)
{
    struct quicklist_node *next = n ? n->next : NULL;
    if (!next || n->plain || next->plain || n->bytes + next->bytes > node_bytes_max(fill) ||
        n->count + next->count > node_count_max(fill))
        return;
    if (!listpack_append_from(&n->data, next->data, listpack_first(next->data)))
        return;
    uint32_t moved = next->count;
    node_unlink(q, next);
    node_free(next);
    node_changed(q, n, moved);
}

bool quicklist_insert(struct quicklist *q, struct quicklist_pos at, struct slice value, bool after,
                      int fill)
{
    struct quicklist_node *n = at.node;
    const uint8_t *p = at.p; /* insert before it; NULL: at the node's end */
    if (after && !n->plain)
        p = listpack_next(p);
    if (node_has_room(n, value, fill))
        return node_insert(q, n, p, value);
    bool at_start = !after && (n->plain || p == listpack_first(n->data));
    bool at_end = after && (n->plain || !p);
    if (at_end && node_has_room(n->next, value, fill))
        return node_insert(q, n->next, listpack_first(n->next->data), value);
    if (at_start && node_has_room(n->prev, value, fill))
        return node_insert(q, n->prev, NULL, value);
    struct quicklist_node *added = node_new(value, fill);
    if (!added)
        return false;
    if (!at_start && !at_end && !node_split(q, n, p)) {
        node_free(added);
        return false;
    }
    node_link(q, added, at_start ? n->prev : n);
    node_merge_next(q, added, fill);
    node_merge_next(q, added->prev, fill);
    return true;
}

static void node_delete(struct quicklist *q, struct quicklist_node *n)
{
    node_unlink(q, n);
    node_free(n);
}

/* Takes the element at `at` out and puts a node of its own in its place. */
static bool replace_by_node(struct quicklist *q, struct quicklist_pos at, struct slice value,
                            int fill)
{
    struct quicklist_node *n = at.node;
    struct quicklist_node *added = node_new(value, fill);
    if (!added)
        return false;
    size_t offset = n->plain ? 0 : (size_t)(at.p - n->data);
    const uint8_t *rest = n->plain ? NULL : listpack_next(at.p);
    if (rest && !node_split(q, n, rest)) {
        node_free(added);
        return false;
    }
    node_link(q, added, n);
    if (n->count == 1) {
        node_delete(q, n);
    } else {
        listpack_delete(&n->data, n->data + offset, 1);
        node_changed(q, n, -1);
    }
    return true;
}

bool quicklist_replace(struct quicklist *q, struct quicklist_pos at, struct slice value, int fill)
{
    struct quicklist_node *n = at.node;
    /* Within twice its limit a node takes a longer value in place. */
    if (n->plain || value_is_large(value, fill) ||
        n->bytes + value.len + ELEMENT_OVERHEAD > 2 * node_bytes_max(fill))
        return replace_by_node(q, at, value, fill);
    if (!listpack_replace(&n->data, at.p, value))
        return false;
    node_changed(q, n, 0);
    return true;
}

struct quicklist_pos quicklist_delete(struct quicklist *q, struct quicklist_pos at, bool forward)
{
    struct quicklist_node *n = at.node;
    if (n->count == 1) {
        struct quicklist_pos next = forward ? node_first(n->next) : node_last(n->prev);
        node_delete(q, n);
        return next;
    }
    const uint8_t *p = listpack_delete(&n->data, at.p, 1);
    node_changed(q, n, -1);
    if (forward)
        return p ? (struct quicklist_pos){n, p} : node_first(n->next);
    p = p ? listpack_prev(n->data, p) : listpack_last(n->data);
    return p ? (struct quicklist_pos){n, p} : node_last(n->prev);
}

void quicklist_delete_range(struct quicklist *q, struct quicklist_pos at, size_t n)
{
    while (at.node && n > 0) {
        struct quicklist_node *node = at.node;
        struct quicklist_pos next = node_first(node->next);
        bool whole = node->plain || at.p == listpack_first(node->data);
        if (whole && n >= node->count) {
            n -= node->count;
            node_delete(q, node);
        } else {
            uint32_t before = node->count;
            listpack_delete(&node->data, at.p, n);
            uint32_t left = (uint32_t)listpack_count(node->data);
            n -= before - left;
            node_changed(q, node, (int64_t)left - before);
        }
        at = next;
    }
}

static void node_validate(const struct quicklist_node *n)
{
    size_t found = 1;
    CHECK(n->count > 0);
    if (!n->plain) {
        CHECK(listpack_validate(slice_from(n->data, n->bytes), &found));
        CHECK(listpack_bytes(n->data) == n->bytes);
    }
    CHECK(found == n->count);
}

void quicklist_validate(const struct quicklist *q)
{
    size_t count = 0, mem = 0;
    uint32_t nodes = 0;
    const struct quicklist_node *prev = NULL;
    for (const struct quicklist_node *n = q->head; n; prev = n, n = n->next) {
        CHECK(n->prev == prev);
        node_validate(n);
        count += n->count;
        mem += node_mem(n);
        nodes++;
    }
    CHECK(q->tail == prev);
    CHECK(q->count == count);
    CHECK(q->mem_bytes == mem);
    CHECK(q->node_count == nodes);
}
