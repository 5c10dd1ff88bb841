/* Subscriptions of an lcore's clients, and what is delivered to them.
 *
 * Owner: the lcore. A message for subscribers of several lcores goes to each of them by mail, in
 * the publisher's order, and is delivered there in pieces (delivery.h). The publisher waits for
 * what its own lcore cannot deliver at once. Bound: bytes that are not delivered yet, per lcore;
 * beyond it the publisher waits for the other lcores, too (inside a transaction, which cannot wait,
 * it is only counted; the next one is held back while publish_is_behind()). What was delivered is
 * charged to the subscriber's output limit. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "channels.h"
#include "slice.h"

struct node;
struct session;
struct worker;
struct pubsub;

#define PUBLISH_IN_FLIGHT_MAX (16 * 1024 * 1024)

/* w->node->channels is set. */
struct pubsub *pubsub_new(struct worker *w);
/* No session of the worker is left. */
void pubsub_free(struct pubsub *p);

/* False: it was (was not) subscribed already. */
bool subscriptions_add(struct session *s, enum channel_kind kind, struct slice name);
bool subscriptions_remove(struct session *s, enum channel_kind kind, struct slice name);
/* All of the kind, told one by one after its removal (the name lives for the call). */
void subscriptions_remove_all(struct session *s, enum channel_kind kind,
                              void (*told)(void *arg, struct slice name), void *arg);
/* Subscriptions of sharded channels that are lost, those who had them told one by one. */
void subscriptions_drop_topics(struct worker *w, bool (*lost)(void *arg, struct slice name),
                               void (*told)(struct session *s, struct slice name), void *arg);
/* Silently all of all kinds: the session ends, or RESET. */
void subscriptions_drop(struct session *s);
uint32_t subscriptions_count(const struct session *s, enum channel_kind kind);
size_t subscriptions_mem_bytes(const struct session *s);

/* A message; delivery renders it. */
struct publication {
    struct slice channel, message;
    bool sharded;
    struct slice pattern; /* delivery: NULL data: to the channel itself */
    uint8_t *rendered[2]; /* delivery: RESP2, RESP3; made when first needed */
    size_t rendered_len[2];
};

/* Sends it to all subscribers of its channel, wherever they are. True: publisher was parked
 * (may_park allows it) and gets the number of receivers as its reply later; false: the caller
 * replies it. */
bool publish(struct session *publisher, const struct publication *pub, bool may_park,
             uint64_t *receivers);
/* To the other nodes of the cluster, where there is one. Not counted among the receivers. */
void publish_to_cluster(struct worker *w, const struct publication *pub);
/* What another node published, to all subscribers here. Control thread, an online reader. False:
 * some lcore has more to deliver than the bound; it got nothing. */
bool publish_from_cluster(struct node *node, const struct publication *pub);
/* Some lcore, or the way to the other nodes, has more to deliver than the bound. Any lcore. */
bool publish_is_behind(const struct node *node);
