#include "cluster_view.h"
#include <stdlib.h>
#include "check.h"

const struct cluster_view_node *cluster_view_move_peer(const struct cluster_view *view,
                                                       unsigned slot)
{
    uint32_t low = 0, high = view->move_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (view->moves[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == view->move_count || view->moves[low].slot != slot)
        return NULL;
    return &view->nodes[view->moves[low].node];
}

bool cluster_peer_extends(const struct bus_message *m)
{
    struct bus_extension_iter i;
    struct bus_extension extension;
    if (!(m->header.mflags & BUS_MFLAG_EXT_DATA))
        return false;
    if (m->extension_count == 0)
        return true;
    bus_extension_first(m, &i);
    while (bus_extension_next(&i, &extension))
        if (extension.type != BUS_EXT_HOSTNAME)
            return true;
    return false;
}

struct slice cluster_pong_for(const struct cluster_pong *pong, const struct bus_message *m)
{
    if (cluster_peer_extends(m))
        return slice_from(pong->full, pong->full_len);
    return slice_from(pong->plain, pong->plain_len);
}

struct cluster_view *cluster_view_alloc(uint32_t node_count, uint32_t move_count, size_t text_size,
                                        char **text)
{
    size_t nodes = node_count * sizeof(struct cluster_view_node);
    size_t moves = move_count * sizeof(struct cluster_view_move);
    struct cluster_view *view = calloc(1, sizeof(*view) + nodes + moves + text_size);
    CHECK(view);
    view->node_count = node_count;
    view->move_count = move_count;
    view->nodes = (struct cluster_view_node *)(view + 1);
    view->moves = (struct cluster_view_move *)(view->nodes + node_count);
    *text = (char *)(view->moves + move_count);
    return view;
}

struct cluster_pong *cluster_pong_alloc(uint32_t plain_len, uint32_t full_len)
{
    struct cluster_pong *pong = malloc(sizeof(*pong) + plain_len + full_len);
    CHECK(pong);
    pong->plain_len = plain_len;
    pong->full_len = full_len;
    pong->plain = (uint8_t *)(pong + 1);
    pong->full = pong->plain + plain_len;
    return pong;
}

struct cluster_view *cluster_view_publish(struct cluster_shared *shared, struct cluster_view *view)
{
    return atomic_exchange_explicit(&shared->view, view, memory_order_acq_rel);
}

struct cluster_pong *cluster_pong_publish(struct cluster_shared *shared, struct cluster_pong *pong)
{
    return atomic_exchange_explicit(&shared->pong, pong, memory_order_acq_rel);
}
