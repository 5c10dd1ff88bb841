#include "cluster_mail.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

static size_t publication_bytes(const struct cluster_publication *p)
{
    return sizeof(*p) + p->channel.len + p->message.len;
}

void cluster_publication_post(struct mailbox *control, void (*run)(struct mail *, void *),
                              struct slice channel, struct slice message, bool sharded,
                              _Atomic(size_t) *in_flight_bytes)
{
    struct cluster_publication *p = malloc(sizeof(*p) + channel.len + message.len);
    CHECK(p);
    *p = (struct cluster_publication){.mail.run = run,
                                      .sharded = sharded,
                                      .channel = slice_from(p->bytes, channel.len),
                                      .message = slice_from(p->bytes + channel.len, message.len),
                                      .in_flight_bytes = in_flight_bytes};
    memcpy(p->bytes, channel.data, channel.len);
    memcpy(p->bytes + channel.len, message.data, message.len);
    atomic_fetch_add_explicit(in_flight_bytes, publication_bytes(p), memory_order_relaxed);
    mail_post(control, &p->mail);
}

void cluster_publication_free(struct cluster_publication *p)
{
    atomic_fetch_sub_explicit(p->in_flight_bytes, publication_bytes(p), memory_order_relaxed);
    free(p);
}
