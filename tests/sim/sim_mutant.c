#include "sim_mutant.h"
#include <string.h>
#include "check.h"

#define EATEN_NEXT 1 /* whose frames are eaten: the next node's */

const struct sim_mutant_row sim_mutant_rows[MUTANT_COUNT] = {
#define SIM_MUTANT_ROW(name, word, text) [MUTANT_##name] = {word, text},
    SIM_MUTANTS(SIM_MUTANT_ROW)
#undef SIM_MUTANT_ROW
};

static unsigned type_of(const uint8_t *frame)
{
    return bus_load16(frame + BUS_AT_TYPE);
}

/* The first of its gossip that it suspects. */
static const uint8_t *suspect_of(const struct cluster_frame *frame)
{
    const uint8_t *at = frame->bytes + BUS_HEADER_SIZE;
    for (unsigned i = bus_load16(frame->bytes + BUS_AT_COUNT); i > 0; i--, at += BUS_GOSSIP_SIZE)
        if (bus_load16(at + BUS_GOSSIP_FLAGS) & BUS_NODE_PFAIL)
            return at + BUS_GOSSIP_NAME;
    return NULL;
}

static struct cluster_frame *fail_alone(const struct cluster_frame *frame)
{
    const uint8_t *suspect = suspect_of(frame);
    if (!bus_type_is_ping(type_of(frame->bytes)) || !suspect)
        return NULL;
    struct cluster_frame *fail = sim_frame_copy(frame->bytes, BUS_SIZE_FAIL);
    bus_store16(fail->bytes + BUS_AT_TYPE, BUS_FAIL);
    bus_store16(fail->bytes + BUS_AT_COUNT, 0);
    bus_store16(fail->bytes + BUS_AT_EXTENSIONS, 0);
    bus_store32(fail->bytes + BUS_AT_TOTLEN, BUS_SIZE_FAIL);
    memcpy(fail->bytes + BUS_HEADER_SIZE, suspect, BUS_FAIL_SIZE);
    return fail;
}

struct cluster_frame *sim_mutant_send(struct sim_node *node, cluster_link_id link,
                                      struct cluster_frame *frame)
{
    const struct sim *sim = node->sim;
    unsigned type = type_of(frame->bytes);
    if (sim_mutant(sim, MUTANT_FAIL_ALONE))
        return fail_alone(frame);
    struct cluster_frame *other = NULL;
    if (sim_mutant(sim, MUTANT_ACK_LATE) && type == BUS_AUTH_ACK) {
        other = sim_frame_copy(frame->bytes, frame->len);
        bus_store64(other->bytes + BUS_AT_CURRENT_EPOCH,
                    bus_load64(frame->bytes + BUS_AT_CURRENT_EPOCH) + 1);
    }
    uint64_t epoch = bus_load64(frame->bytes + BUS_AT_CONFIG_EPOCH);
    if (sim_mutant(sim, MUTANT_EPOCH_HELD) && epoch > sim->options.primaries) {
        other = sim_frame_copy(frame->bytes, frame->len);
        bus_store64(other->bytes + BUS_AT_CONFIG_EPOCH, sim->options.primaries);
    }
    return other;
}

/* A vote without a rule, a file or a memory. */
static void ack_always(struct sim_node *node, cluster_link_id link, struct slice request)
{
    if (!node->pong || bus_load16(request.data + BUS_AT_TYPE) != BUS_AUTH_REQUEST)
        return;
    struct cluster_frame *ack = sim_frame_copy(node->pong->plain, BUS_SIZE_PLAIN);
    bus_store16(ack->bytes + BUS_AT_TYPE, BUS_AUTH_ACK);
    bus_store16(ack->bytes + BUS_AT_COUNT, 0);
    bus_store16(ack->bytes + BUS_AT_EXTENSIONS, 0);
    bus_store32(ack->bytes + BUS_AT_TOTLEN, BUS_SIZE_PLAIN);
    memcpy(ack->bytes + BUS_AT_CURRENT_EPOCH, request.data + BUS_AT_CURRENT_EPOCH, 8);
    sim_net_send(node, link, ack);
    sim_frame_put(ack);
}

static void ack_multiplied(struct sim_node *node, cluster_link_id link, struct slice ack)
{
    struct sim *sim = node->sim;
    if (type_of(ack.data) != BUS_AUTH_ACK)
        return;
    for (unsigned i = 0; i < sim->count; i++) {
        if (!sim_node_peer_slots(node, &sim->nodes[i]) || i == node->index)
            continue;
        struct cluster_frame *other = sim_frame_copy(ack.data, ack.len);
        memcpy(other->bytes + BUS_AT_SENDER, sim->nodes[i].id, BUS_NAME_SIZE);
        sim_shell_inject(node, link, slice_from(other->bytes, other->len));
        sim_frame_put(other);
    }
}

/* A primary that others have left behind is believed again. */
static bool epoch_raised(struct sim_node *node, struct slice *frame, uint8_t *memory)
{
    uint64_t epoch = bus_load64(frame->data + BUS_AT_CONFIG_EPOCH);
    if (!bus_type_is_ping(type_of(frame->data)) || frame->data[BUS_AT_REPLICA_OF] != 0 ||
        epoch + 1 >= sim_node_current_epoch(node) || frame->len > SIM_MUTANT_MEMORY)
        return false;
    memcpy(memory, frame->data, frame->len);
    bus_store64(memory + BUS_AT_CONFIG_EPOCH, sim_node_current_epoch(node));
    bus_store64(memory + BUS_AT_CURRENT_EPOCH, sim_node_current_epoch(node));
    *frame = slice_from(memory, frame->len);
    return true;
}

bool sim_mutant_frame(struct sim_node *node, cluster_link_id link, struct slice *frame,
                      uint8_t *memory)
{
    struct sim *sim = node->sim;
    const struct sim_node *peer = sim_net_peer(node, link);
    if (sim_mutant(sim, MUTANT_FRAMES_EATEN))
        return !peer || peer->index != (node->index + EATEN_NEXT) % sim->count;
    if (sim_mutant(sim, MUTANT_ACK_ALWAYS))
        ack_always(node, link, *frame);
    else if (sim_mutant(sim, MUTANT_ACK_MULTIPLIED))
        ack_multiplied(node, link, *frame);
    else if (sim_mutant(sim, MUTANT_EPOCH_RAISED))
        epoch_raised(node, frame, memory);
    return true;
}
