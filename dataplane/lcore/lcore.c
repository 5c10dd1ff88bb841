#include <stdlib.h>
#include <string.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include "batch.h"
#include "bus_link.h"
#include "check.h"
#include "idle.h"
#include "lcore.h"
#include "link_stream.h"
#include "log.h"
#include "session.h"
#include "steer.h"

struct neighbour_mail {
    struct mail mail;
    struct ip_addr addr;
    uint8_t mac[6];
};

static void neighbour_mail_run(struct mail *mail, void *receiver)
{
    struct neighbour_mail *m = container_from(mail, struct neighbour_mail, mail);
    struct lcore *l = container_from((struct worker *)receiver, struct lcore, worker);
    netif_neighbour_set(l->net, &m->addr, m->mac);
    free(m);
}

/* ARP and ND answers arrive on one lcore: the others hear of them by mail. */
static void lcore_neighbour_learned(void *arg, const struct ip_addr *a, const uint8_t mac[6])
{
    struct lcore *l = arg;
    for (unsigned i = 0; i < l->config.node->lcore_count; i++) {
        struct neighbour_mail *m = i == l->config.id ? NULL : malloc(sizeof(*m));
        if (m == NULL)
            continue; /* short of memory: that lcore asks for itself */
        m->mail.run = neighbour_mail_run;
        m->addr = *a;
        memcpy(m->mac, mac, 6);
        mail_post(&l->peers[i]->worker.mailbox, &m->mail);
    }
}

static bool lcore_accept(void *arg, struct stream *stream)
{
    struct lcore *l = arg;
    return session_new(&l->worker, stream) != NULL;
}

static void lcore_wake_session(struct session *s)
{
    batch_ready(container_from(s->worker, struct lcore, worker), s);
}

static bool lcore_build_network(struct lcore *l)
{
    const struct lcore_config *c = &l->config;
    l->net = netif_new(c->queue, &c->net, tcp_l4_ops(), NULL);
    if (l->net == NULL)
        return false;
    l->net->neighbour_learned = lcore_neighbour_learned;
    l->net->neighbour_arg = l;
    l->net->foreign = steer_foreign;
    l->net->foreign_arg = l;
    l->tcp = tcp_new(l->net, &c->tcp);
    if (l->tcp == NULL)
        return false;
    l->net->l4_arg = l->tcp;
    return c->tcp_port == 0 || tcp_listen(l->tcp, c->tcp_port, lcore_accept, l);
}

static struct stream *bus_connect(void *ctx, const uint8_t address[BUS_ADDRESS_SIZE], uint16_t port,
                                  const struct stream_user_ops *user_ops, void *user)
{
    struct lcore *l = ctx;
    struct ip_addr to;
    memcpy(to.b, address, sizeof(to.b));
    return tcp_connect(l->tcp, &to, port, 0, user_ops, user);
}

/* Nothing is replicated: what this node announces is that it has nothing. */
static uint64_t bus_offset(void *ctx)
{
    return 0;
}

static bool lcore_build_bus(struct lcore *l)
{
    const struct lcore_config *c = &l->config;
    if (c->bus_path == NULL)
        return true;
    struct bus_links_config bus = {.path = c->bus_path,
                                   .worker = &l->worker,
                                   .shared = c->node->cluster,
                                   .publish_max = c->bus_publish_max,
                                   .connect = bus_connect,
                                   .offset = bus_offset,
                                   .ctx = l};
    l->bus = bus_links_new(&bus);
    if (l->bus == NULL)
        return false;
    c->bus_path->lcore = &l->worker.mailbox;
    bus_links_path(l->bus, c->bus_path);
    return tcp_listen(l->tcp, c->bus_port, bus_links_accept, l->bus);
}

static struct stream *lcore_connect(struct worker *w, const uint8_t address[16], uint16_t port,
                                    const struct stream_user_ops *user_ops, void *user)
{
    struct lcore *l = container_from(w, struct lcore, worker);
    struct ip_addr to;
    memcpy(to.b, address, sizeof(to.b));
    return tcp_connect(l->tcp, &to, port, 0, user_ops, user);
}

static bool lcore_build_worker(struct lcore *l)
{
    struct worker *w = &l->worker;
    w->connect = lcore_connect;
    w->id = l->config.id;
    w->node = l->config.node;
    w->config = config_get();
    rng_seed(&w->rng, l->config.seed);
    w->ks = ks_new(l->config.keyspace, w->id, l->config.seed ^ 0x9e3779b97f4a7c15u);
    return w->ks != NULL && mailbox_init(&w->mailbox) && worker_tables_new(w);
}

struct lcore *lcore_new(const struct lcore_config *config)
{
    struct lcore *l =
        aligned_alloc(CACHE_LINE, (sizeof(*l) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (l == NULL)
        return NULL;
    memset(l, 0, sizeof(*l));
    l->config = *config;
    l->config.net.lcore = (uint16_t)config->id;
    session_wake = lcore_wake_session;
    char name[RTE_RING_NAMESIZE];
    snprintf(name, sizeof(name), "steered%u", config->id);
    l->steered = rte_ring_create(name, STEER_RING_SIZE, (int)rte_socket_id(), RING_F_SC_DEQ);
    l->batch = batch_new();
    if (l->steered == NULL || l->batch == NULL || !lcore_build_worker(l) ||
        !lcore_build_network(l) || !lcore_build_bus(l) || (l->idle = idle_new(l)) == NULL) {
        log_warning("lcore %u cannot be built: out of memory", config->id);
        lcore_free(l);
        return NULL;
    }
    return l;
}

void lcore_link(struct lcore **all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        all[i]->peers = all;
        all[i]->config.node->workers[i] = &all[i]->worker;
    }
}

static void lcore_free_steered(struct lcore *l)
{
    struct rte_mbuf *frame;
    while (l->steered != NULL && rte_ring_sc_dequeue(l->steered, (void **)&frame) == 0)
        rte_pktmbuf_free(frame);
    rte_ring_free(l->steered);
}

void lcore_free(struct lcore *l)
{
    session_reap(&l->worker);
    link_streams_free(l);
    if (l->bus != NULL)
        bus_links_free(l->bus);
    if (l->tcp != NULL)
        tcp_free(l->tcp);
    session_reap(&l->worker);
    if (l->net != NULL)
        netif_free(l->net);
    lcore_free_steered(l);
    idle_free(l->idle);
    batch_free(l->batch);
    worker_tables_free(&l->worker);
    if (l->worker.ks != NULL)
        ks_free(l->worker.ks);
    mailbox_fini(&l->worker.mailbox);
    free(l);
}
