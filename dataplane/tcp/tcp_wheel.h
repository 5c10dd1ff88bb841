/* Deadlines of connections: a hierarchical wheel of three levels with 256 slots of 1 ms, 256 ms and
 * 65.5 s. Connections stand in it once, at their earliest deadline or before (lazy: a deadline that
 * moves later is noticed when the slot comes up). Longer deadlines stand in the last slot and are
 * looked at again there. Insert, remove: constant time. */
#pragma once
#include <stdint.h>

struct tcp_conn;
struct tcp;

#define TCP_WHEEL_LEVELS 3
#define TCP_WHEEL_SLOTS 256

struct tcp_wheel {
    uint64_t now_ms; /* slots before it are empty */
    uint32_t count;
    uint64_t used[TCP_WHEEL_LEVELS][TCP_WHEEL_SLOTS / 64];
    uint32_t head[TCP_WHEEL_LEVELS * TCP_WHEEL_SLOTS];
};

void tcp_wheel_init(struct tcp_wheel *w, uint64_t now_ms);
/* deadline_ms: low 32 bits; one that has passed counts as now. c is not in the wheel. */
void tcp_wheel_insert(struct tcp *t, struct tcp_conn *c, uint32_t deadline_ms);
/* No effect when c is not in it. */
void tcp_wheel_remove(struct tcp *t, struct tcp_conn *c);
/* When the slot that c stands in comes up, low 32 bits; it may be past. */
uint32_t tcp_wheel_slot_ms(const struct tcp_wheel *w, const struct tcp_conn *c);
/* Takes a connection whose slot has come; NULL: none up to now_ms. */
struct tcp_conn *tcp_wheel_take_due(struct tcp *t, uint64_t now_ms);
/* When the next slot comes up; UINT64_MAX: empty. */
uint64_t tcp_wheel_next_ms(const struct tcp_wheel *w);
