/* Replies in RESP2 or RESP3, as the request asks. Start with {.resp3 = …}. */
#pragma once
#include "cluster_print.h"

struct cluster_reply {
    struct nodes_text text;
    bool resp3;
};

void cluster_reply_array(struct cluster_reply *r, size_t count);
/* pairs; RESP2: an array twice as long. */
void cluster_reply_map(struct cluster_reply *r, size_t pairs);
void cluster_reply_integer(struct cluster_reply *r, int64_t value);
void cluster_reply_bulk(struct cluster_reply *r, struct slice text);
void cluster_reply_word(struct cluster_reply *r, const char *text);
void cluster_reply_null(struct cluster_reply *r);
/* RESP2: a bulk string. */
void cluster_reply_verbatim(struct cluster_reply *r, struct slice text);

/* CLUSTER SLOTS, SHARDS, LINKS. */
void cluster_reply_slots(const struct cluster *c, struct cluster_reply *r);
void cluster_reply_shards(const struct cluster *c, struct cluster_reply *r);
void cluster_reply_links(const struct cluster *c, struct cluster_reply *r);

/* Sends it; takes the text. */
void cluster_reply_send(struct cluster *c, const struct cluster_admin *admin,
                        struct cluster_reply *r);
