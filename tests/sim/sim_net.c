/* TCP as its two ends see it: in order, nothing twice; what is lost comes late, what is blocked
 * comes when it is not any more; a connection ends for both, though not at the same time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "sim.h"
#include "sim_mutant.h"
#include "sim_probe.h"

#define RETRY_US (40 * MS)         /* of what is blocked: retransmissions */
#define RTO_US (200 * MS)          /* a lost segment comes so much later */
#define RETRANSMIT_US (1 * SECOND) /* until what was sent to a node that is back is sent again */
#define CONNECT_US (1 * SECOND)    /* how long a SYN is repeated */

static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};

struct sim_segment {
    struct sim_segment *next;
    struct cluster_frame *frame; /* NULL: the end of the connection */
    uint32_t from, len;
    uint64_t at_us;
};

enum end_state { END_WAITS, END_UP, END_GONE };

/* One connection; end 0 opened it. */
struct sim_conn {
    struct sim_conn *next;
    struct sim_node *node[2];
    uint32_t life[2];
    cluster_link_id id[2];
    uint8_t state[2];
    bool dead, planned[2];
    struct sim_segment *head[2], *tail[2]; /* towards this end */
    uint64_t last_us[2];
    struct bus_framer framer[2];
    uint32_t refs; /* of items in the heap */
};

struct cluster_frame *sim_frame_copy(const uint8_t *bytes, size_t len)
{
    struct cluster_frame *frame = malloc(sizeof(*frame) + len);
    CHECK(frame);
    frame->refs = 1;
    frame->len = (uint32_t)len;
    memcpy(frame->bytes, bytes, len);
    return frame;
}

void sim_frame_put(struct cluster_frame *frame)
{
    if (--frame->refs == 0)
        free(frame);
}

/* ---- tables ---- */

static struct sim_conn **conn_place(struct sim_node *node, cluster_link_id id, bool grow)
{
    bool inbound = id & CLUSTER_LINK_INBOUND;
    uint64_t index = id & ~CLUSTER_LINK_INBOUND;
    struct sim_conn ***table = inbound ? &node->theirs : &node->ours;
    uint32_t *size = inbound ? &node->theirs_size : &node->ours_size;
    if (index >= *size) {
        if (!grow)
            return NULL;
        uint32_t wanted = (uint32_t)index * 2 + 16;
        *table = realloc(*table, wanted * sizeof(**table));
        CHECK(*table);
        memset(*table + *size, 0, (wanted - *size) * sizeof(**table));
        *size = wanted;
    }
    return &(*table)[index];
}

static struct sim_conn *conn_find(struct sim_node *node, cluster_link_id id, unsigned *end)
{
    struct sim_conn **place = conn_place(node, id, false);
    if (!place || !*place)
        return NULL;
    *end = id & CLUSTER_LINK_INBOUND ? 1 : 0;
    return *place;
}

struct sim_node *sim_net_peer(struct sim_node *node, cluster_link_id id)
{
    unsigned end;
    struct sim_conn *conn = conn_find(node, id, &end);
    return conn ? conn->node[1 - end] : NULL;
}

static void segments_drop(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    while (conn->head[end]) {
        struct sim_segment *segment = conn->head[end];
        conn->head[end] = segment->next;
        if (segment->frame)
            sim_frame_put(segment->frame);
        segment->next = sim->spare_segments;
        sim->spare_segments = segment;
    }
    conn->tail[end] = NULL;
}

/* This end is done with it. */
static void end_leave(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    if (conn->state[end] == END_GONE)
        return;
    conn->state[end] = END_GONE;
    struct sim_conn **place = conn_place(conn->node[end], conn->id[end], false);
    if (place && *place == conn && conn->life[end] == conn->node[end]->life)
        *place = NULL;
    segments_drop(sim, conn, end);
}

void sim_net_sweep(struct sim *sim, bool all)
{
    for (struct sim_conn **at = &sim->conns; *at;) {
        struct sim_conn *conn = *at;
        bool over = conn->state[0] == END_GONE && conn->state[1] == END_GONE && conn->refs == 0;
        if (!over && !all) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        for (unsigned end = 0; end < 2; end++) {
            segments_drop(sim, conn, end);
            bus_framer_free(&conn->framer[end]);
        }
        free(conn);
    }
    while (all && sim->spare_segments) {
        struct sim_segment *segment = sim->spare_segments;
        sim->spare_segments = segment->next;
        free(segment);
    }
}

/* ---- ways ---- */

bool sim_net_blocked(const struct sim *sim, unsigned from, unsigned to)
{
    return from < SIM_FAULTY_MAX && to < SIM_FAULTY_MAX && sim->blocked[from] >> to & 1;
}

uint64_t sim_net_delay(struct sim *sim)
{
    return sim->delay_us + rng_below(&sim->rng, sim->jitter_us + 1);
}

static void plan(struct sim *sim, struct sim_conn *conn, unsigned end, enum sim_what what,
                 uint64_t at_us)
{
    conn->refs++;
    sim_heap_push(&sim->heap, (struct sim_item){.at_us = at_us,
                                                .ptr = conn,
                                                .life = conn->life[end],
                                                .node = (uint16_t)conn->node[end]->index,
                                                .what = (uint8_t)what,
                                                .end = (uint8_t)end});
}

static void deliver_plan(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    if (conn->planned[end] || !conn->head[end])
        return;
    conn->planned[end] = true;
    uint64_t at_us = conn->head[end]->at_us;
    plan(sim, conn, end, SIM_DELIVER, at_us > sim->now_us ? at_us : sim->now_us);
}

/* Towards end. */
static void segment_push(struct sim *sim, struct sim_conn *conn, unsigned end,
                         struct sim_segment part)
{
    struct sim_segment *segment = sim->spare_segments;
    if (segment)
        sim->spare_segments = segment->next;
    else
        segment = malloc(sizeof(*segment));
    CHECK(segment);
    *segment = part;
    segment->at_us = sim->now_us + sim_net_delay(sim);
    if (sim->loss_per_mille > 0 && sim_chance(sim, sim->loss_per_mille)) {
        segment->at_us += RTO_US << rng_below(&sim->rng, 3);
        sim_probe(sim, PROBE_SEGMENT_LOST);
    }
    if (segment->at_us < conn->last_us[end])
        segment->at_us = conn->last_us[end];
    conn->last_us[end] = segment->at_us;
    segment->next = NULL;
    if (conn->head[end])
        conn->tail[end]->next = segment;
    else
        conn->head[end] = segment;
    conn->tail[end] = segment;
    deliver_plan(sim, conn, end);
}

/* ---- opening ---- */

static struct sim_node *node_at(struct sim *sim, const char *ip, uint16_t cport)
{
    unsigned a, b, c, d;
    if (sscanf(ip, "%u.%u.%u.%u", &a, &b, &c, &d) != 4)
        return NULL;
    unsigned index = (c << 8 | d) - 1;
    if (index >= sim->count)
        return NULL;
    struct sim_node *node = &sim->nodes[index];
    return strcmp(node->ip, ip) == 0 && node->config.cport == cport ? node : NULL;
}

void sim_net_open(struct sim_node *node, cluster_link_id id, const char *ip, uint16_t cport)
{
    struct sim *sim = node->sim;
    struct sim_conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn);
    struct sim_node *to = node_at(sim, ip, cport);
    conn->node[0] = node;
    conn->node[1] = to ? to : node;
    conn->life[0] = node->life;
    conn->life[1] = conn->node[1]->life;
    conn->id[0] = id;
    conn->state[1] = END_GONE;
    bus_framer_init(&conn->framer[0]);
    bus_framer_init(&conn->framer[1]);
    conn->next = sim->conns;
    sim->conns = conn;
    *conn_place(node, id, true) = conn;
    bool there =
        to && (to->running || to->is_stock) && !(to->freeze == SIM_PAUSED && !to->is_stock);
    bool way = to && !sim_net_blocked(sim, node->index, to->index) &&
               !sim_net_blocked(sim, to->index, node->index);
    uint64_t delay_us = sim_net_delay(sim);
    if (!there || !way) {
        plan(sim, conn, 0, SIM_REFUSED, sim->now_us + CONNECT_US);
        return;
    }
    if (!to->running) { /* its kernel says so */
        plan(sim, conn, 0, SIM_REFUSED, sim->now_us + 2 * delay_us);
        return;
    }
    conn->state[1] = END_WAITS;
    conn->id[1] = CLUSTER_LINK_INBOUND | ++to->theirs_next;
    *conn_place(to, conn->id[1], true) = conn;
    plan(sim, conn, 1, SIM_ACCEPT, sim->now_us + delay_us);
    plan(sim, conn, 0, SIM_CONNECTED, sim->now_us + 2 * delay_us);
}

/* ---- ends ---- */

static void fin_push(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    if (conn->state[end] != END_GONE)
        segment_push(sim, conn, end, (struct sim_segment){.frame = NULL});
}

void sim_net_close(struct sim_node *node, cluster_link_id id)
{
    unsigned end;
    struct sim_conn *conn = conn_find(node, id, &end);
    if (!conn)
        return;
    end_leave(node->sim, conn, end);
    if (sim_chance(node->sim, 300))
        segments_drop(node->sim, conn, 1 - end); /* a reset overtakes */
    fin_push(node->sim, conn, 1 - end);
}

void sim_net_crash(struct sim_node *node, bool silent)
{
    struct sim *sim = node->sim;
    for (struct sim_conn *conn = sim->conns; conn; conn = conn->next)
        for (unsigned end = 0; end < 2; end++) {
            if (conn->node[end] != node || conn->state[end] == END_GONE)
                continue;
            end_leave(sim, conn, end);
            conn->dead = true;
            /* Nobody tells the other end: it finds out itself. */
            if (!silent)
                fin_push(sim, conn, 1 - end);
        }
    free(node->ours);
    free(node->theirs);
    node->ours = node->theirs = NULL;
    node->ours_size = node->theirs_size = 0;
}

void sim_net_started(struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (struct sim_conn *conn = sim->conns; conn; conn = conn->next)
        for (unsigned end = 0; end < 2; end++)
            if (conn->dead && conn->node[1 - end] == node && conn->state[end] != END_GONE &&
                conn->state[1 - end] == END_GONE) {
                conn->last_us[end] = sim->now_us + rng_below(&sim->rng, RETRANSMIT_US);
                fin_push(sim, conn, end);
            }
}

void sim_net_break(struct sim *sim)
{
    unsigned count = 0;
    struct sim_conn *chosen = NULL;
    for (struct sim_conn *conn = sim->conns; conn; conn = conn->next)
        if (conn->state[0] == END_UP && conn->state[1] == END_UP && !conn->dead &&
            rng_below(&sim->rng, ++count) == 0)
            chosen = conn;
    if (!chosen)
        return;
    chosen->dead = true;
    for (unsigned end = 0; end < 2; end++) {
        segments_drop(sim, chosen, end);
        fin_push(sim, chosen, end);
    }
    sim_probe(sim, PROBE_LINK_BROKEN);
}

/* The other end knows nothing of the connection, and says so when it lives and hears of it. */
static void reset_push(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    const struct sim_node *node = conn->node[end], *peer = conn->node[1 - end];
    if (peer->running && peer->freeze != SIM_PAUSED && !conn->head[end] &&
        !sim_net_blocked(sim, node->index, peer->index) &&
        !sim_net_blocked(sim, peer->index, node->index))
        fin_push(sim, conn, end);
}

/* ---- sending ---- */

void sim_net_send(struct sim_node *node, cluster_link_id id, struct cluster_frame *frame)
{
    unsigned end;
    struct sim *sim = node->sim;
    struct sim_conn *conn = conn_find(node, id, &end);
    node->frames_out++;
    node->bytes_out += frame->len;
    if (!conn || conn->state[end] != END_UP)
        return;
    if (conn->dead || conn->state[1 - end] == END_GONE) {
        reset_push(sim, conn, end);
        return;
    }
    struct sim_segment part = {.frame = frame, .from = 0, .len = frame->len};
    frame->refs++;
    if (!sim->options.unchecked && sim_chance(sim, 20) && frame->len > 1) {
        part.len = 1 + (uint32_t)rng_below(&sim->rng, frame->len - 1);
        segment_push(sim, conn, 1 - end, part);
        part.from = part.len;
        part.len = frame->len - part.from;
        frame->refs++;
        sim_probe(sim, PROBE_FRAME_IN_PIECES);
    }
    segment_push(sim, conn, 1 - end, part);
}

/* ---- events ---- */

static void frames_take(struct sim *sim, struct sim_conn *conn, unsigned end, struct slice bytes)
{
    struct sim_node *node = conn->node[end];
    enum bus_reason why;
    struct slice frame;
    for (;;) {
        enum bus_verdict verdict =
            bus_framer_take(&conn->framer[end], &bytes, &limits, &frame, &why);
        if (verdict == BUS_MORE)
            return;
        struct bus_message m;
        if (verdict == BUS_OK)
            verdict = bus_decode(frame, &limits, &m, &why);
        if (verdict != BUS_OK)
            sim_fail(sim, "node %u got a frame that is not valid: %s", node->index,
                     bus_reason_text(why));
        sim_node_frame(node, conn->id[end], frame, &m);
        if (conn->state[end] != END_UP || conn->life[end] != node->life)
            return;
    }
}

static void ended(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    struct sim_node *node = conn->node[end], *peer = conn->node[1 - end];
    bool waited = conn->state[end] == END_WAITS;
    end_leave(sim, conn, end);
    if (!waited)
        sim_node_link(node, CLUSTER_EVENT_LINK_DOWN, conn->id[end], peer);
    else if (end == 0)
        sim_node_link(node, CLUSTER_EVENT_LINK_FAILED, conn->id[end], peer);
}

static void deliver(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    struct sim_segment *segment = conn->head[end];
    conn->planned[end] = false;
    if (!segment)
        return;
    unsigned from = conn->node[1 - end]->index, to = conn->node[end]->index;
    if (conn->state[end] == END_WAITS || sim_net_blocked(sim, from, to)) {
        conn->planned[end] = true;
        plan(sim, conn, end, SIM_DELIVER, sim->now_us + RETRY_US + rng_below(&sim->rng, RETRY_US));
        return;
    }
    struct sim_segment part = *segment;
    conn->head[end] = segment->next;
    segment->next = sim->spare_segments;
    sim->spare_segments = segment;
    deliver_plan(sim, conn, end);
    if (!part.frame) {
        ended(sim, conn, end);
        return;
    }
    frames_take(sim, conn, end, slice_from(part.frame->bytes + part.from, part.len));
    sim_frame_put(part.frame);
}

static void connected(struct sim *sim, struct sim_conn *conn, unsigned end)
{
    if (conn->state[end] != END_WAITS)
        return;
    if (conn->state[1 - end] == END_GONE && end == 1) {
        end_leave(sim, conn, end); /* the opener is gone before it was accepted */
        return;
    }
    conn->state[end] = END_UP;
    sim_node_link(conn->node[end], CLUSTER_EVENT_LINK_UP, conn->id[end], conn->node[1 - end]);
}

void sim_net_item(struct sim *sim, const struct sim_item *item)
{
    struct sim_conn *conn = item->ptr;
    unsigned end = item->end;
    conn->refs--;
    if (item->life != conn->node[end]->life || conn->state[end] == END_GONE)
        return;
    if (item->what == SIM_DELIVER)
        deliver(sim, conn, end);
    else if (item->what == SIM_REFUSED)
        ended(sim, conn, end);
    else
        connected(sim, conn, end);
}
