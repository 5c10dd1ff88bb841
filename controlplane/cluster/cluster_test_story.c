#include <string.h>
#include "cluster_test_inside.h"

static bool all_known(struct test_net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        for (unsigned j = 0; j < net->count; j++) {
            unsigned flags = test_net_flags(net, i, j);
            if (flags == 0 || flags & BUS_NODE_HANDSHAKE)
                return false;
        }
    return true;
}

void test_net_join(struct test_net *net)
{
    for (unsigned i = 1; i < net->count; i++)
        CHECK(strcmp(test_net_command(net, i, "meet 10.0.0.1 6379"), "+OK\r\n") == 0);
    CHECK(test_net_until(net, 60000, all_known) != UINT64_MAX);
}

static bool settled(struct test_net *net)
{
    return test_net_agrees(net) && test_net_all_ok(net);
}

void test_net_spread(struct test_net *net, unsigned primaries)
{
    for (unsigned i = 0; i < primaries; i++) {
        unsigned first = SLOTS * i / primaries, last = SLOTS * (i + 1) / primaries - 1;
        CHECK(strcmp(test_net_command(net, i, "addslotsrange %u %u", first, last), "+OK\r\n") == 0);
        test_net_command(net, i, "bumpepoch");
    }
    CHECK(test_net_until(net, 60000, settled) != UINT64_MAX);
    for (unsigned i = primaries; i < net->count; i++)
        CHECK(strcmp(test_net_command(net, i, "replicate %s",
                                      cluster_self_id(net->boxes[i % primaries].c)),
                     "+OK\r\n") == 0);
    test_net_run(net, 3000);
    CHECK(settled(net));
}

bool test_net_agrees(struct test_net *net)
{
    const struct cluster *first = NULL;
    for (unsigned i = 0; i < net->count; i++) {
        const struct cluster *c = net->boxes[i].c;
        if (!c)
            continue;
        if (!first)
            first = c;
        if (cluster_node_count(c) != cluster_node_count(first))
            return false;
        const char *same_a = NULL, *same_b = NULL; /* of the slot before */
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            const char *a = cluster_slot_owner(first, slot), *b = cluster_slot_owner(c, slot);
            if (a == same_a && b == same_b)
                continue;
            if (!a != !b || (a && strcmp(a, b) != 0))
                return false;
            same_a = a;
            same_b = b;
        }
    }
    return true;
}

bool test_net_all_ok(struct test_net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        if (net->boxes[i].c && !cluster_state_ok(net->boxes[i].c))
            return false;
    return true;
}

bool test_net_running(const struct test_net *net, unsigned i)
{
    return net->boxes[i].c != NULL;
}

/* The id of a node that does not run is on its disk. */
static const char *box_id(const struct box *box)
{
    if (box->c)
        return cluster_self_id(box->c);
    return box->disk.conf ? box->disk.conf->nodes[box->disk.conf->myself].id : NULL;
}

unsigned test_net_flags(struct test_net *net, unsigned i, unsigned j)
{
    struct cluster_peer peer;
    const char *id = box_id(&net->boxes[j]);
    if (!net->boxes[i].c || !id || !cluster_peer_get(net->boxes[i].c, id, &peer))
        return 0;
    return peer.flags;
}

int test_net_owner(struct test_net *net, unsigned i, unsigned slot)
{
    const char *owner = cluster_slot_owner(test_net_node(net, i), slot);
    for (unsigned j = 0; owner && j < net->count; j++) {
        const char *id = box_id(&net->boxes[j]);
        if (id && strcmp(id, owner) == 0)
            return (int)j;
    }
    return -1;
}

unsigned test_net_deleted(const struct test_net *net)
{
    return net->deleted;
}

unsigned test_net_alarms(const struct test_net *net)
{
    return net->alarms;
}

const struct cluster_view *test_net_view(const struct test_net *net, unsigned i)
{
    return net->boxes[i].view;
}

struct slice test_net_disk_text(const struct test_net *net, unsigned i)
{
    return slice_from(net->boxes[i].disk.text, net->boxes[i].disk.len);
}

bool test_net_inject(struct test_net *net, unsigned i, unsigned j, struct slice frame)
{
    for (struct pipe *p = net->pipes; p; p = p->next)
        if (p->ends[0] == i && p->ends[1] == j && !p->cut && p->open[1]) {
            test_pipe_push(net, p, 1, frame.data, (uint32_t)frame.len);
            return true;
        }
    return false;
}
