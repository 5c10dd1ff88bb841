/* A message on its way: rendered once per protocol, sent by mail to lcores that have subscribers.
 * Private to session/. */
#pragma once
#include "slice.h"

struct session;
struct worker;

/* To this lcore's subscribers. */
void pubsub_deliver(struct worker *w, struct slice channel, struct slice message);

struct publication {
    struct slice channel, message;
    struct slice pattern; /* NULL data: to the channel itself */
    uint8_t *rendered[2]; /* RESP2, RESP3; made when first needed */
    size_t rendered_len[2];
};
/* From now on to subscribers of a pattern. */
void publication_pattern(struct publication *pub, struct slice pattern);
void publication_send(struct publication *pub, struct session *s);
void publication_free(struct publication *pub);
