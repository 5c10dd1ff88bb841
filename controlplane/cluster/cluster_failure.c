/* A node that does not answer is PFAIL to us; once a majority of the primaries with slots says so
 * within two node timeouts it is FAIL, and everybody is told. Redis 7.0 counts reports of primaries
 * without slots too; a majority of those who do not vote means nothing, so we do not. */
#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

/* In node timeouts. */
#define REPORT_VALIDITY 2
#define FAIL_UNDO 2

bool cluster_report_add(struct cluster *c, struct cluster_node *n, struct cluster_node *by)
{
    for (uint32_t i = 0; i < n->report_count; i++)
        if (n->reports[i].by == by) {
            n->reports[i].at_us = c->event_us;
            return false;
        }
    if (n->report_count == n->report_size) {
        n->report_size = n->report_size ? n->report_size * 2 : 4;
        n->reports = realloc(n->reports, n->report_size * sizeof(*n->reports));
        CHECK(n->reports);
    }
    n->reports[n->report_count++] = (struct cluster_report){by, c->event_us};
    return true;
}

bool cluster_report_remove(struct cluster_node *n, const struct cluster_node *by)
{
    for (uint32_t i = 0; i < n->report_count; i++)
        if (n->reports[i].by == by) {
            n->reports[i] = n->reports[--n->report_count];
            return true;
        }
    return false;
}

uint32_t cluster_report_count(const struct cluster *c, const struct cluster_node *n)
{
    uint64_t valid_us = cluster_timeout_us(c) * REPORT_VALIDITY;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->report_count; i++)
        if (c->now_us - n->reports[i].at_us <= valid_us && node_votes(n->reports[i].by))
            count++;
    return count;
}

uint32_t cluster_size(const struct cluster *c)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (node_votes(c->nodes[i]))
            size++;
    return size;
}

uint32_t cluster_quorum(const struct cluster *c)
{
    return cluster_size(c) / 2 + 1;
}

void cluster_pfail_set(struct cluster *c, struct cluster_node *n, bool on)
{
    if (on == node_has(n, BUS_NODE_PFAIL))
        return;
    n->flags ^= BUS_NODE_PFAIL;
    if (on)
        c->pfail_count++;
    else
        c->pfail_count--;
}

static void failed(struct cluster *c, struct cluster_node *n)
{
    cluster_pfail_set(c, n, false);
    n->flags |= BUS_NODE_FAIL;
    n->fail_us = c->now_us;
    c->health_want = true;
    c->view_want = CLUSTER_WANT_NOW;
    c->pong_want = CLUSTER_WANT_NOW;
    cluster_persist_soon(c);
}

void cluster_suspect(struct cluster *c, struct cluster_node *n)
{
    cluster_log(c, LOG_LEVEL_DEBUG, "*** NODE %s possibly failing", n->id);
    cluster_pfail_set(c, n, true);
    c->health_want = true;
    c->pong_want = CLUSTER_WANT_NOW;
    cluster_spread_suspicion(c);
    election_on_suspected(c, n);
    cluster_fail_if_majority(c, n);
}

void cluster_fail_if_majority(struct cluster *c, struct cluster_node *n)
{
    /* After a stall the TICK decides: what is heard before it is of another time. */
    if (!node_has(n, BUS_NODE_PFAIL) || node_has(n, BUS_NODE_FAIL) || cluster_stall_pending(c))
        return;
    uint32_t count = cluster_report_count(c, n) + (node_votes(c->self) ? 1 : 0);
    if (count < cluster_quorum(c))
        return;
    cluster_log(c, LOG_LEVEL_NOTICE, "Marking node %s as failing (quorum reached).", n->id);
    failed(c, n);
    struct cluster_frame *frame = cluster_build_fail(c, n);
    cluster_broadcast(c, frame);
    cluster_frame_put(frame);
    election_on_failed(c, n);
}

void cluster_fail_learnt(struct cluster *c, struct cluster_node *n, const struct cluster_node *by)
{
    if (node_has(n, BUS_NODE_FAIL | BUS_NODE_MYSELF | BUS_NODE_HANDSHAKE))
        return;
    cluster_log(c, LOG_LEVEL_NOTICE, "FAIL message received from %s about %s", by->id, n->id);
    failed(c, n);
    election_on_failed(c, n);
}

void cluster_failure_clear(struct cluster *c, struct cluster_node *n)
{
    if (node_has(n, BUS_NODE_PFAIL))
        cluster_pfail_set(c, n, false);
    else if (!node_has(n, BUS_NODE_FAIL))
        return;
    else if (!node_votes(n))
        cluster_log(c, LOG_LEVEL_NOTICE, "Clear FAIL state for node %s: %s is reachable again.",
                    n->id, node_is_primary(n) ? "master without slots" : "replica");
    else if (c->now_us - n->fail_us > cluster_timeout_us(c) * FAIL_UNDO)
        /* Nobody took its slots in all this time. */
        cluster_log(c, LOG_LEVEL_NOTICE,
                    "Clear FAIL state for node %s: is reachable again and nobody is serving its "
                    "slots after some time.",
                    n->id);
    else
        return;
    n->flags &= (uint16_t)~BUS_NODE_FAIL;
    c->health_want = true;
    c->view_want = CLUSTER_WANT_NOW;
    c->pong_want = CLUSTER_WANT_NOW;
    cluster_persist_soon(c);
}
