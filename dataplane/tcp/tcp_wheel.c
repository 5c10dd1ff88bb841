#include "tcp_wheel.h"
#include <string.h>
#include "tcp_engine.h"

#define SLOT_BITS 8
#define SLOT_MASK (TCP_WHEEL_SLOTS - 1)
/* The longest that the last level holds. */
#define SPAN_MAX ((uint64_t)(TCP_WHEEL_SLOTS - 2) << (2 * SLOT_BITS))

void tcp_wheel_init(struct tcp_wheel *w, uint64_t now_ms)
{
    memset(w, 0, sizeof(*w));
    w->now_ms = now_ms;
}

/* The first level on which at_ms lies less than a turn ahead, counted in that level's slots: the
 * slot of now is then never taken for the one a turn later, and what comes up early goes down a
 * level. */
static uint32_t slot_for(const struct tcp_wheel *w, uint64_t at_ms)
{
    uint32_t level = 0;
    while (level + 1 < TCP_WHEEL_LEVELS &&
           (at_ms >> (level * SLOT_BITS)) - (w->now_ms >> (level * SLOT_BITS)) >= TCP_WHEEL_SLOTS)
        level++;
    return level * TCP_WHEEL_SLOTS + ((at_ms >> (level * SLOT_BITS)) & SLOT_MASK);
}

void tcp_wheel_insert(struct tcp *t, struct tcp_conn *c, uint32_t deadline_ms)
{
    struct tcp_wheel *w = &t->wheel;
    /* Without timers nobody turns the wheel. */
    if (w->count == 0 && t->now_ms > w->now_ms)
        w->now_ms = t->now_ms;
    int32_t delta = (int32_t)(deadline_ms - (uint32_t)w->now_ms);
    uint64_t at_ms = delta > 0 ? w->now_ms + (uint32_t)delta : w->now_ms;
    if (at_ms - w->now_ms >= SPAN_MAX)
        at_ms = w->now_ms + SPAN_MAX;
    uint32_t slot = slot_for(w, at_ms);
    CHECK_DEBUG(c->wheel_slot == 0);
    c->wheel_slot = (uint16_t)(slot + 1);
    c->wheel_prev = 0;
    c->wheel_next = w->head[slot];
    if (c->wheel_next)
        conn_at(t, c->wheel_next)->wheel_prev = c->id;
    w->head[slot] = c->id;
    w->used[slot >> SLOT_BITS][(slot & SLOT_MASK) / 64] |= 1ull << (slot & 63);
    w->count++;
}

void tcp_wheel_remove(struct tcp *t, struct tcp_conn *c)
{
    if (c->wheel_slot == 0)
        return;
    struct tcp_wheel *w = &t->wheel;
    uint32_t slot = c->wheel_slot - 1u;
    if (c->wheel_next)
        conn_at(t, c->wheel_next)->wheel_prev = c->wheel_prev;
    if (c->wheel_prev)
        conn_at(t, c->wheel_prev)->wheel_next = c->wheel_next;
    else
        w->head[slot] = c->wheel_next;
    if (w->head[slot] == 0)
        w->used[slot >> SLOT_BITS][(slot & SLOT_MASK) / 64] &= ~(1ull << (slot & 63));
    c->wheel_slot = 0;
    w->count--;
}

uint32_t tcp_wheel_slot_ms(const struct tcp_wheel *w, const struct tcp_conn *c)
{
    uint32_t slot = c->wheel_slot - 1u, shift = slot / TCP_WHEEL_SLOTS * SLOT_BITS;
    uint64_t turn = w->now_ms >> shift;
    return (uint32_t)((turn + ((slot - turn) & SLOT_MASK)) << shift);
}

/* Distance from slot `from` to the next used slot of a level, itself included; -1: none. */
static int used_distance(const uint64_t *used, uint32_t from)
{
    for (uint32_t i = 0; i <= TCP_WHEEL_SLOTS / 64; i++) {
        uint32_t word = (from / 64 + i) % (TCP_WHEEL_SLOTS / 64);
        uint64_t bits = used[word];
        if (i == 0)
            bits &= ~0ull << (from & 63);
        else if (i == TCP_WHEEL_SLOTS / 64)
            bits &= ~(~0ull << (from & 63));
        if (bits)
            return (int)((word * 64 + (uint32_t)__builtin_ctzll(bits) - from) & SLOT_MASK);
    }
    return -1;
}

/* The next used slot over all levels and when it comes up. */
static uint64_t next_slot(const struct tcp_wheel *w, uint32_t *slot)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t level = TCP_WHEEL_LEVELS; level-- > 0;) {
        uint32_t shift = level * SLOT_BITS;
        uint64_t block = w->now_ms >> shift;
        int distance = used_distance(w->used[level], block & SLOT_MASK);
        if (distance < 0)
            continue;
        uint64_t at_ms = (block + (uint32_t)distance) << shift;
        if (at_ms < best) {
            best = at_ms;
            *slot = level * TCP_WHEEL_SLOTS + ((block + (uint32_t)distance) & SLOT_MASK);
        }
    }
    return best;
}

struct tcp_conn *tcp_wheel_take_due(struct tcp *t, uint64_t now_ms)
{
    struct tcp_wheel *w = &t->wheel;
    uint32_t slot = 0;
    uint64_t at_ms = w->count ? next_slot(w, &slot) : UINT64_MAX;
    if (at_ms > now_ms) {
        if (now_ms > w->now_ms)
            w->now_ms = now_ms;
        return NULL;
    }
    if (at_ms > w->now_ms)
        w->now_ms = at_ms;
    struct tcp_conn *c = conn_at(t, w->head[slot]);
    tcp_wheel_remove(t, c);
    return c;
}

uint64_t tcp_wheel_next_ms(const struct tcp_wheel *w)
{
    uint32_t slot;
    return w->count ? next_slot(w, &slot) : UINT64_MAX;
}
