#include "bus_peers.h"
#include <pthread.h>
#include <stdlib.h>
#include "check.h"
#include "rng.h"
#include "test_stream.h"

static const uint8_t slots[BUS_SLOTS_SIZE];

struct peer {
    struct test_stream *stream;
    uint64_t epoch; /* of its last message */
    bool connecting;
};

struct bus_peers {
    struct worker worker;
    struct bus_links *links;
    struct mailbox *box;
    struct cluster_shared *shared;
    struct rng rng;
    struct peer peers[BUS_PEERS];
    unsigned rounds;
    pthread_t thread;
    _Atomic(bool) quiet, over;
};

static struct stream *stream_new(struct bus_peers *p, bool connecting)
{
    for (unsigned i = 0; i < BUS_PEERS; i++) {
        struct peer *peer = &p->peers[i];
        if (peer->stream && !peer->stream->aborted && !peer->stream->closed)
            continue;
        if (peer->stream)
            test_stream_free(peer->stream);
        *peer = (struct peer){test_stream_new("10.77.0.9:40000"), 0, connecting};
        return &peer->stream->stream;
    }
    return NULL;
}

static struct stream *connect_to(void *ctx, const uint8_t address[BUS_ADDRESS_SIZE], uint16_t port,
                                 const struct stream_user_ops *user_ops, void *user)
{
    struct stream *s = stream_new(ctx, true);
    if (!s)
        return NULL;
    s->user_ops = user_ops;
    s->user = user;
    return s;
}

static uint64_t offset_now(void *ctx)
{
    return 1;
}

/* In two pieces. */
static void peer_says(struct bus_peers *p, struct peer *peer, uint16_t type)
{
    uint8_t buf[BUS_SIZE_PLAIN];
    struct bus_writer w;
    struct bus_header h = {.type = type,
                           .current_epoch = ++peer->epoch,
                           .sender = (const uint8_t *)BUS_PEERS_SENDER,
                           .slots = slots};
    bus_write_begin(&w, buf, sizeof(buf), &h);
    size_t len = bus_write_end(&w);
    size_t cut = rng_below(&p->rng, len);
    test_stream_push(peer->stream, buf, cut);
    test_stream_push(peer->stream, buf + cut, len - cut);
}

static void peer_acts(struct bus_peers *p, struct peer *peer)
{
    uint64_t what = rng_below(&p->rng, 200);
    if (!peer->stream || peer->stream->aborted || peer->stream->closed)
        return;
    if (peer->connecting) {
        peer->connecting = false;
        peer->stream->stream.user_ops->connected(&peer->stream->stream);
    } else if (what == 0) {
        test_stream_reset(peer->stream);
    } else if (what == 1) {
        test_stream_eof(peer->stream);
    } else if (what < 60) {
        peer_says(p, peer, BUS_PING);
    } else if (what < 100) {
        peer_says(p, peer, BUS_AUTH_ACK);
    } else if (what < 140) {
        free(test_stream_take(peer->stream, NULL));
    }
}

static void round_of(struct bus_peers *p, bool act)
{
    p->worker.now_us += 10;
    (void)mailbox_run(p->box, NULL, 64);
    if (act && rng_below(&p->rng, 4) == 0) {
        struct stream *s = stream_new(p, false);
        if (s)
            CHECK(bus_links_accept(p->links, s));
    }
    for (unsigned i = 0; act && i < BUS_PEERS; i++)
        peer_acts(p, &p->peers[i]);
    (void)bus_links_run(p->links);
    bus_links_validate(p->links);
}

static void *peers_main(void *arg)
{
    struct bus_peers *p = arg;
    for (unsigned i = 0; i < p->rounds; i++)
        round_of(p, true);
    bus_links_end(p->links);
    atomic_store(&p->quiet, true);
    while (!atomic_load(&p->over))
        round_of(p, false);
    return NULL;
}

struct bus_peers *bus_peers_new(struct bus_path *path, struct mailbox *box,
                                struct cluster_shared *shared, uint64_t seed)
{
    struct bus_peers *p =
        aligned_alloc(CACHE_LINE, (sizeof(*p) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    struct cluster_pong *pong = cluster_pong_alloc(BUS_SIZE_PLAIN, BUS_SIZE_PLAIN);
    CHECK(p);
    memset(p, 0, sizeof(*p));
    memset(pong->plain, 0, BUS_SIZE_PLAIN);
    memset(pong->full, 0, BUS_SIZE_PLAIN);
    free(cluster_pong_publish(shared, pong));
    atomic_store(&shared->lease_until_us, UINT64_MAX);
    rng_seed(&p->rng, seed);
    path->lcore = p->box = box;
    p->shared = shared;
    struct bus_links_config config = {.path = path,
                                      .worker = &p->worker,
                                      .shared = shared,
                                      .publish_max = BUS_FRAME_MAX,
                                      .connect = connect_to,
                                      .offset = offset_now,
                                      .ctx = p};
    p->links = bus_links_new(&config);
    CHECK(p->links);
    bus_links_path(p->links, path);
    return p;
}

void bus_peers_start(struct bus_peers *p, unsigned rounds)
{
    p->rounds = rounds;
    CHECK(pthread_create(&p->thread, NULL, peers_main, p) == 0);
}

bool bus_peers_quiet(struct bus_peers *p)
{
    return atomic_load(&p->quiet);
}

void bus_peers_stop(struct bus_peers *p)
{
    atomic_store(&p->over, true);
    pthread_join(p->thread, NULL);
}

void bus_peers_free(struct bus_peers *p)
{
    bus_links_free(p->links);
    for (unsigned i = 0; i < BUS_PEERS; i++) {
        if (p->peers[i].stream)
            test_stream_free(p->peers[i].stream);
    }
    free(cluster_pong_publish(p->shared, NULL));
    free(p);
}
