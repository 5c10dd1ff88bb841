/* Messages for an lcore's subscribers: rendered once per protocol, delivered in bounded pieces.
 * Private to session/.
 *
 * Owner: the lcore. Deliveries are done one after the other in the order in which they came, so
 * that every subscriber gets its messages in that order; a round of the loop does DELIVERY_PIECE
 * units of work. Nobody gets what was published before he subscribed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"
#include "slice.h"
#include "subscribe.h"

struct session;
struct subscription;
struct topic;
struct worker;

/* A unit is some 100 ns: one subscriber, DELIVERY_UNIT_BYTES sent to him, or one pattern. */
#define DELIVERY_PIECE 512
#define DELIVERY_UNIT_BYTES 2048

struct delivery {
    struct delivery *next;
    struct publication pub;
    uint64_t sequence; /* subscriptions as young as this are passed over */
    /* Finished, or the lcore has ended (w NULL): frees it. */
    void (*done)(struct delivery *d, struct worker *w);
};

/* What an lcore has to deliver. Whoever ends a subscription or a pattern moves the cursor on. */
struct deliveries {
    struct delivery *first, *last; /* that wait, oldest first */
    bool begun;                    /* the first: the cursor is its own */
    struct subscription *at;       /* cursor: whom to serve next … */
    struct topic *pattern;         /* … and then, which pattern to look at */
    uint64_t sequence;             /* of the newest delivery that had to wait */
    uint64_t round;                /* of the loop … */
    uint32_t units_left;           /* … and what it may still do */
    struct mail turn;              /* to itself, while some wait */
};

/* Delivers what it can at once. False: more is to do, and d goes to delivery_wait() (it may move
 * before). True: nothing is left but to free pub. */
bool delivery_begin(struct worker *w, struct delivery *d);
/* Takes over d, whose bytes live until done(): it goes on in the next rounds. */
void delivery_wait(struct worker *w, struct delivery *d);
void deliveries_init(struct deliveries *all);
/* No session is left. */
void deliveries_end(struct deliveries *all);
/* Frees what was rendered. */
void publication_free(struct publication *pub);

/* ---- for subscribe.c, which knows the cursor's ends ---- */
/* From now on to subscribers of a pattern. */
void publication_pattern(struct publication *pub, struct slice pattern);
/* Units that it took. */
uint32_t publication_send(struct publication *pub, struct session *s);

/* ---- subscribe.c ---- */
struct deliveries *deliveries_of(const struct worker *w);
/* The cursor to the first subscriber of the channel and the first pattern. */
void cursor_begin(struct worker *w, const struct publication *pub);
/* Serves one subscriber or looks at one pattern: units that it took; 0: that was all. */
uint32_t cursor_step(struct worker *w, struct delivery *d);
