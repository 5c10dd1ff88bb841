#include <stdlib.h>
#include <string.h>
#include "cluster_test_inside.h"

#define DELAY_MIN_US 100
#define DELAY_SPREAD_US 400
#define CONNECT_TIMEOUT_US (200 * MS)

/* ---- the heap ---- */

static bool item_before(const struct item *a, const struct item *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

void test_heap_push(struct test_net *net, struct item item)
{
    if (net->heap_count == net->heap_size) {
        net->heap_size = net->heap_size ? net->heap_size * 2 : 256;
        net->heap = realloc(net->heap, net->heap_size * sizeof(*net->heap));
        CHECK(net->heap);
    }
    item.sequence = ++net->sequence;
    size_t at = net->heap_count++;
    while (at > 0 && item_before(&item, &net->heap[(at - 1) / 2])) {
        net->heap[at] = net->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    net->heap[at] = item;
}

struct item test_heap_pop(struct test_net *net)
{
    struct item first = net->heap[0], last = net->heap[--net->heap_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < net->heap_count) {
        if (child + 1 < net->heap_count && item_before(&net->heap[child + 1], &net->heap[child]))
            child++;
        if (!item_before(&net->heap[child], &last))
            break;
        net->heap[at] = net->heap[child];
        at = child;
    }
    net->heap[at] = last;
    return first;
}

void test_later(struct test_net *net, unsigned node, enum what what, uint64_t delay_us,
                uint64_t value)
{
    test_heap_push(net, (struct item){.at_us = net->now_us + delay_us,
                                      .what = what,
                                      .node = node,
                                      .life = net->boxes[node].life,
                                      .value = value});
}

static uint64_t test_delay_us(struct test_net *net)
{
    return DELAY_MIN_US + rng_below(&net->rng, DELAY_SPREAD_US);
}

/* ---- pipes ---- */

void test_pipe_schedule(struct test_net *net, struct pipe *p, unsigned end, enum what what,
                        uint64_t delay)
{
    test_heap_push(net, (struct item){.at_us = net->now_us + delay,
                                      .what = what,
                                      .node = p->ends[end],
                                      .life = p->lives[end],
                                      .value = end,
                                      .pipe = p});
}

bool test_pipe_blocked(const struct test_net *net, const struct pipe *p)
{
    return (net->side >> p->ends[0] & 1) != (net->side >> p->ends[1] & 1);
}

void test_pipe_empty(struct pipe *p, unsigned end)
{
    while (p->head[end]) {
        struct parcel *parcel = p->head[end];
        p->head[end] = parcel->next;
        free(parcel->frame);
        free(parcel);
    }
    p->tail[end] = &p->head[end];
}

/* The other end hears of it when the network lets it. */
void test_pipe_cut(struct test_net *net, struct pipe *p)
{
    if (p->cut)
        return;
    p->cut = true;
    for (unsigned end = 0; end < 2; end++) {
        test_pipe_empty(p, end);
        if (p->open[end])
            test_pipe_schedule(net, p, end, WHAT_DOWN, test_delay_us(net));
    }
}

struct pipe *test_pipe_find(const struct test_net *net, unsigned node, cluster_link_id id,
                            unsigned *end)
{
    for (struct pipe *p = net->pipes; p; p = p->next)
        for (*end = 0; *end < 2; (*end)++)
            if (p->ends[*end] == node && p->ids[*end] == id &&
                p->lives[*end] == net->boxes[node].life)
                return p;
    return NULL;
}

static int box_at(const struct test_net *net, const char *ip, unsigned cport)
{
    for (unsigned i = 0; i < net->count; i++)
        if (net->boxes[i].c && strcmp(net->boxes[i].config.ip, ip) == 0 &&
            net->boxes[i].config.cport == cport)
            return (int)i;
    return -1;
}

void test_pipe_open(struct test_net *net, unsigned from, const struct cluster_action *action)
{
    struct pipe *p = calloc(1, sizeof(*p));
    CHECK(p);
    int to = box_at(net, action->open.ip, action->open.cport);
    p->ends[0] = from;
    p->ends[1] = to < 0 ? from : (unsigned)to;
    p->lives[0] = net->boxes[from].life;
    p->lives[1] = net->boxes[p->ends[1]].life;
    p->ids[0] = action->open.link;
    p->tail[0] = &p->head[0];
    p->tail[1] = &p->head[1];
    p->next = net->pipes;
    net->pipes = p;
    bool reachable = to >= 0 && !test_pipe_blocked(net, p);
    p->cut = !reachable;
    if (!reachable) {
        test_pipe_schedule(net, p, 0, WHAT_FAILED,
                           to < 0 ? test_delay_us(net) : CONNECT_TIMEOUT_US);
        return;
    }
    p->ids[1] = CLUSTER_LINK_INBOUND | ++net->boxes[p->ends[1]].inbound_next;
    test_pipe_schedule(net, p, 1, WHAT_UP, test_delay_us(net));
    test_pipe_schedule(net, p, 0, WHAT_UP, 2 * DELAY_MIN_US + test_delay_us(net));
}

void test_pipe_push(struct test_net *net, struct pipe *p, unsigned to, const uint8_t *bytes,
                    uint32_t len)
{
    if (net->loss_per_mille > 0 && rng_below(&net->rng, 1000) < net->loss_per_mille) {
        test_pipe_cut(net, p);
        return;
    }
    struct parcel *parcel = calloc(1, sizeof(*parcel));
    CHECK(parcel);
    parcel->frame = malloc(sizeof(*parcel->frame) + len);
    CHECK(parcel->frame);
    parcel->frame->len = len;
    memcpy(parcel->frame->bytes, bytes, len);
    *p->tail[to] = parcel;
    p->tail[to] = &parcel->next;
    if (!p->scheduled[to]) {
        p->scheduled[to] = true;
        test_pipe_schedule(net, p, to, WHAT_DELIVER, test_delay_us(net));
    }
}
