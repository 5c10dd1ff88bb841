#include "rdb_value.h"
#include "check.h"
#include "hash.h"
#include "intset.h"
#include "list.h"
#include "rdb_format.h"
#include "set.h"

/* What an element costs beside its bytes, in terms of the budget. */
#define ELEMENT_COST 128

struct rdb_value rdb_value_of(const struct entry *e)
{
    struct rdb_value v = {.type = entry_type(e)};
    if (v.type != OBJ_STRING)
        v.object = entry_object(e);
    else if (!(v.big = entry_big(e)))
        v.text = entry_string(e);
    return v;
}

uint8_t rdb_value_type(const struct rdb_value *v)
{
    switch (v->type) {
    case OBJ_STRING:
        return RDB_STRING;
    case OBJ_LIST:
        return RDB_LIST_QUICKLIST_2;
    case OBJ_SET:
        return set_encoding(v->object) == ENC_INTSET ? RDB_SET_INTSET : RDB_SET;
    default:
        CHECK(v->type == OBJ_HASH);
        return hash_encoding(v->object) == ENC_LISTPACK ? RDB_HASH_LISTPACK : RDB_HASH;
    }
}

/* ---- strings ---- */

static size_t text_len(const struct rdb_text *t)
{
    if (t->big)
        return bigstr_len(t->big);
    return t->body.len + (t->framed ? t->frame.head_len + t->frame.tail_len : 0);
}

static struct slice framed_peek(const struct rdb_text *t, size_t offset)
{
    const struct listpack_frame *f = &t->frame;
    if (offset < f->head_len)
        return slice_from(f->head + offset, f->head_len - offset);
    offset -= f->head_len;
    if (offset < t->body.len)
        return slice_from(t->body.data + offset, t->body.len - offset);
    offset -= t->body.len;
    return slice_from(f->tail + offset, f->tail_len - offset);
}

static struct slice text_peek(const void *source, size_t offset)
{
    const struct rdb_text *t = source;
    if (t->big)
        return bigstr_peek(t->big, offset);
    if (t->framed)
        return framed_peek(t, offset);
    return slice_from(t->body.data + offset, t->body.len - offset);
}

static void text_write_short(struct rdb_writer *w, const struct rdb_text *t)
{
    uint8_t room[RDB_LZF_PIECE];
    size_t len = text_len(t);
    if (!t->big && !t->framed) {
        rdb_write_string(w, t->body);
        return;
    }
    for (size_t at = 0; at < len;) {
        struct slice part = text_peek(t, at);
        memcpy(room + at, part.data, part.len);
        at += part.len;
    }
    rdb_write_string(w, slice_from(room, len));
}

/* True: the text is written. */
static bool text_write(struct rdb_encoder *e, struct rdb_writer *w, const struct rdb_text *t)
{
    size_t len = text_len(t);
    if (len <= RDB_LZF_PIECE) {
        text_write_short(w, t);
        return true;
    }
    if (!e->in_long)
        e->text = (struct rdb_long_string){.peek = text_peek, .source = t, .len = len};
    e->in_long = !rdb_write_long_step(w, &e->text);
    return !e->in_long;
}

static void text_push(struct rdb_encoder *e, struct slice body)
{
    e->texts[e->text_count++] = (struct rdb_text){.body = body};
}

/* ---- what comes next, by type; false: nothing ---- */

static bool string_next(struct rdb_encoder *e)
{
    if (e->started)
        return false;
    text_push(e, e->value.text);
    e->texts[0].big = e->value.big;
    return true;
}

static bool list_next(struct rdb_encoder *e, struct rdb_writer *w)
{
    const struct quicklist *q = &((const struct list *)e->value.object)->elements;
    if (!e->started)
        rdb_write_length(w, q->node_count);
    e->node = e->started ? e->node->next : q->head;
    if (!e->node)
        return false;
    /* Redis has plain nodes from 1 GB on only: what is plain here is a listpack there. */
    bool framed = e->node->plain && e->node->bytes < LISTPACK_BYTES_MAX - 32;
    rdb_write_length(w, e->node->plain && !framed ? RDB_CONTAINER_PLAIN : RDB_CONTAINER_PACKED);
    text_push(e, slice_from(e->node->data, e->node->bytes));
    e->texts[0].framed = framed;
    if (framed)
        listpack_frame_one(&e->texts[0].frame, e->node->bytes);
    return true;
}

/* A set or hash: one compact block, or a dict. */
static bool members_next(struct rdb_encoder *e, struct rdb_writer *w)
{
    bool is_set = e->value.type == OBJ_SET;
    const struct set *s = e->value.object;
    const struct hash *h = e->value.object;
    const void *body = is_set ? s->body : h->body;
    if ((is_set ? set_encoding(s) : hash_encoding(h)) != ENC_HASHTABLE) {
        if (!e->started)
            text_push(e, slice_from(body, is_set ? intset_bytes(body) : listpack_bytes(body)));
        return !e->started;
    }
    struct dict_item item;
    if (!e->started) {
        rdb_write_length(w, dict_count(body));
        dict_iter_init(&e->items, body);
    }
    if (!dict_iter_next(&e->items, &item))
        return false;
    text_push(e, item.key);
    if (!is_set)
        text_push(e, item.value);
    return true;
}

static bool value_next(struct rdb_encoder *e, struct rdb_writer *w)
{
    bool more;
    e->text_count = e->text_at = 0;
    if (e->value.type == OBJ_STRING)
        more = string_next(e);
    else
        more = e->value.type == OBJ_LIST ? list_next(e, w) : members_next(e, w);
    e->started = true;
    return more;
}

void rdb_encoder_init(struct rdb_encoder *e, const struct rdb_value *v)
{
    *e = (struct rdb_encoder){.value = *v};
}

bool rdb_encoder_step(struct rdb_encoder *e, struct rdb_writer *w, int64_t budget)
{
    while (budget > 0) {
        if (e->text_at == e->text_count) {
            if (!value_next(e, w))
                return true;
            budget -= ELEMENT_COST;
        }
        const struct rdb_text *t = &e->texts[e->text_at];
        size_t len = text_len(t);
        budget -= (int64_t)(len < RDB_LZF_PIECE ? len : RDB_LZF_PIECE);
        e->text_at += text_write(e, w, t);
    }
    return false;
}

void rdb_encoder_fini(struct rdb_encoder *e)
{
    if (e->in_long)
        rdb_long_string_fini(&e->text);
    e->in_long = false;
}
