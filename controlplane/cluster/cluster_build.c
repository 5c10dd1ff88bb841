/* Frames out. Headers show what is durable and published of ourselves, never what is only decided.
 */
#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

#define GOSSIP_MIN 3
#define GOSSIP_SHARE 10  /* one in so many nodes */
#define GOSSIP_DRAWS 3   /* tries per entry that is wanted */
#define GOSSIP_MAX 9000u /* entries that a frame of BUS_FRAME_MAX holds, and then some room */

/* The slots of the primary that we show, made anew only when the table has changed. */
static const uint8_t *primary_slots(struct cluster *c, const struct cluster_node *primary)
{
    if (c->primary_slots.generation != c->slots_generation ||
        c->primary_slots.handle != primary->handle) {
        cluster_slots_of(c, primary, c->primary_slots.bits);
        c->primary_slots.generation = c->slots_generation;
        c->primary_slots.handle = primary->handle;
    }
    return c->primary_slots.bits;
}

static void header_fill(struct cluster *c, unsigned type, unsigned mflags, struct bus_header *h)
{
    static const uint8_t no_slots[BUS_SLOTS_SIZE];
    const struct cluster_node *self = c->self;
    const struct cluster_image *shown = &c->shown;
    memset(h, 0, sizeof(*h));
    h->type = (uint16_t)type;
    h->port = self->port;
    h->pport = self->pport;
    h->cport = self->cport;
    h->flags = (uint16_t)(self->flags & ~(BUS_NODE_MASTER | BUS_NODE_SLAVE));
    h->flags |= shown->primary ? BUS_NODE_MASTER : BUS_NODE_SLAVE;
    h->mflags = (uint8_t)(mflags | (c->paused_shown ? BUS_MFLAG_PAUSED : 0));
    h->state = c->ok ? 0 : 1;
    h->current_epoch = c->current_epoch;
    h->offset = c->replication.offset;
    h->sender = (const uint8_t *)self->id;
    h->ip = slice_str(c->config.announce_ip);
    h->slots = shown->slots;
    h->config_epoch = shown->config_epoch;
    if (shown->primary)
        return;
    /* A replica speaks for its primary's slots and epoch. */
    const struct cluster_node *primary =
        shown->primary_id[0] ? cluster_node_find(c, shown->primary_id) : NULL;
    h->replica_of = shown->primary_id[0] ? (const uint8_t *)shown->primary_id : NULL;
    h->slots = primary ? primary_slots(c, primary) : no_slots;
    h->config_epoch = primary ? primary->config_epoch : 0;
}

static struct cluster_frame *frame_new(size_t size)
{
    struct cluster_frame *frame = malloc(sizeof(*frame) + size);
    CHECK(frame);
    frame->refs = 1;
    return frame;
}

static struct cluster_frame *frame_begin(struct cluster *c, struct bus_writer *w, size_t size,
                                         unsigned type, unsigned mflags)
{
    struct cluster_frame *frame = frame_new(size);
    struct bus_header h;
    header_fill(c, type, mflags, &h);
    bus_write_begin(w, frame->bytes, size, &h);
    return frame;
}

static struct cluster_frame *frame_end(struct cluster_frame *frame, struct bus_writer *w)
{
    frame->len = (uint32_t)bus_write_end(w);
    return frame;
}

struct cluster_frame *cluster_build_plain(struct cluster *c, unsigned type, unsigned mflags)
{
    struct bus_writer w;
    struct cluster_frame *frame = frame_begin(c, &w, BUS_SIZE_PLAIN, type, mflags);
    return frame_end(frame, &w);
}

struct cluster_frame *cluster_build_fail(struct cluster *c, const struct cluster_node *failed)
{
    struct bus_writer w;
    struct cluster_frame *frame = frame_begin(c, &w, BUS_SIZE_FAIL, BUS_FAIL, 0);
    bus_write_fail(&w, (const uint8_t *)failed->id);
    return frame_end(frame, &w);
}

struct cluster_frame *cluster_build_update(struct cluster *c, const struct cluster_node *about)
{
    uint8_t slots[BUS_SLOTS_SIZE];
    uint64_t epoch = about->config_epoch;
    if (about == c->self) {
        memcpy(slots, c->shown.slots, sizeof(slots));
        epoch = c->shown.config_epoch;
    } else {
        cluster_slots_of(c, about, slots);
        for (size_t i = 0; i < sizeof(slots); i++)
            slots[i] &= (uint8_t)~c->unclaimed[i];
    }
    struct bus_writer w;
    struct cluster_frame *frame = frame_begin(c, &w, BUS_SIZE_UPDATE, BUS_UPDATE, 0);
    bus_write_update(&w, epoch, (const uint8_t *)about->id, slots);
    return frame_end(frame, &w);
}

struct cluster_frame *cluster_build_publish(struct cluster *c, const struct cluster_publish *p)
{
    struct bus_writer w;
    struct cluster_frame *frame =
        frame_begin(c, &w, bus_publish_size(p->channel, p->message, false),
                    p->sharded ? BUS_PUBLISHSHARD : BUS_PUBLISH, 0);
    bus_write_publish(&w, p->channel, p->message);
    return frame_end(frame, &w);
}

/* ---- gossip ---- */

static uint32_t wall_s(const struct cluster *c, uint64_t at_us)
{
    if (at_us == 0)
        return 0;
    uint64_t ago_ms = (c->now_us - at_us) / MS;
    return ago_ms > c->wall_ms ? 0 : (uint32_t)((c->wall_ms - ago_ms) / 1000);
}

static void gossip_write(const struct cluster *c, struct bus_writer *w,
                         const struct cluster_node *n)
{
    struct bus_gossip entry = {.name = (const uint8_t *)n->id,
                               .ip = slice_str(n->ip),
                               .ping_sent_s = wall_s(c, n->ping_sent_us),
                               .pong_received_s = wall_s(c, n->pong_received_us),
                               .port = n->port,
                               .cport = n->cport,
                               .pport = n->pport,
                               /* Whom to MEET is our own matter. */
                               .flags = (uint16_t)(n->flags & ~BUS_NODE_MEET)};
    bus_write_gossip(w, &entry);
}

static bool gossip_fits(const struct cluster *c, const struct cluster_node *n)
{
    if (n == c->self || n->gossip_mark == c->gossip_sequence)
        return false;
    if (node_has(n, BUS_NODE_PFAIL | BUS_NODE_HANDSHAKE | BUS_NODE_NOADDR))
        return false; /* those in PFAIL are written besides */
    return (n->link && n->link->up) || n->slot_count > 0;
}

static uint32_t gossip_wanted(const struct cluster *c, uint32_t random)
{
    uint32_t others = c->node_count > 2 ? c->node_count - 2 : 0;
    uint32_t wanted = random;
    if (random == CLUSTER_GOSSIP_USUAL) {
        wanted = c->node_count / GOSSIP_SHARE;
        if (wanted < GOSSIP_MIN)
            wanted = GOSSIP_MIN;
    }
    return wanted < others ? wanted : others;
}

/* Writes the section; into buf at most GOSSIP_MAX entries. */
static void gossip_section(struct cluster *c, struct bus_writer *w, uint32_t wanted)
{
    uint32_t written = 0;
    c->gossip_sequence++;
    for (uint32_t draws = wanted * GOSSIP_DRAWS; draws > 0 && written < wanted; draws--) {
        struct cluster_node *n = c->nodes[rng_below(&c->rng, c->node_count)];
        if (!gossip_fits(c, n))
            continue;
        n->gossip_mark = c->gossip_sequence;
        gossip_write(c, w, n);
        written++;
    }
    if (c->pfail_count == 0)
        return;
    for (uint32_t i = 0; i < c->node_count && written < GOSSIP_MAX; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (!node_has(n, BUS_NODE_PFAIL) || node_has(n, BUS_NODE_HANDSHAKE | BUS_NODE_NOADDR))
            continue;
        gossip_write(c, w, n);
        written++;
    }
}

static size_t extensions_size(const struct cluster *c)
{
    const char *hostname = c->config.announce_hostname;
    struct bus_extension name = {.type = BUS_EXT_HOSTNAME, .text = slice_str(hostname)};
    return (*hostname ? bus_extension_size(&name) : 0) + BUS_EXT_SHARD_SIZE;
}

static void extensions_write(const struct cluster *c, struct bus_writer *w, bool all)
{
    const char *hostname = c->config.announce_hostname;
    if (*hostname) {
        struct bus_extension name = {.type = BUS_EXT_HOSTNAME, .text = slice_str(hostname)};
        bus_write_extension(w, &name);
    }
    if (all) {
        struct bus_extension shard = {.type = BUS_EXT_SHARD_ID,
                                      .name = (const uint8_t *)c->self->shard_id};
        bus_write_extension(w, &shard);
    }
}

static size_t ping_size(const struct cluster *c, uint32_t wanted)
{
    size_t entries = wanted + c->pfail_count;
    return BUS_SIZE_PING(entries < GOSSIP_MAX ? entries : GOSSIP_MAX) + extensions_size(c);
}

struct cluster_frame *cluster_build_ping(struct cluster *c, unsigned type, bool extensions,
                                         uint32_t random)
{
    struct bus_writer w;
    uint32_t wanted = gossip_wanted(c, random);
    struct cluster_frame *frame =
        frame_begin(c, &w, ping_size(c, wanted), type, BUS_MFLAG_EXT_DATA);
    gossip_section(c, &w, wanted);
    extensions_write(c, &w, extensions);
    return frame_end(frame, &w);
}

struct cluster_pong *cluster_build_pong(struct cluster *c)
{
    struct cluster_frame *plain = cluster_build_ping(c, BUS_PONG, false, CLUSTER_GOSSIP_USUAL);
    struct cluster_frame *full = cluster_build_ping(c, BUS_PONG, true, CLUSTER_GOSSIP_USUAL);
    struct cluster_pong *pong = cluster_pong_alloc(plain->len, full->len);
    memcpy(pong->plain, plain->bytes, plain->len);
    memcpy(pong->full, full->bytes, full->len);
    cluster_frame_put(plain);
    cluster_frame_put(full);
    return pong;
}
