#include "log_ring.h"

_Static_assert((LOG_RING_LINES & (LOG_RING_LINES - 1)) == 0, "a power of two");

static struct log_cell *ring_cell(struct log_ring *ring, uint64_t position)
{
    return &ring->cells[position % LOG_RING_LINES];
}

void log_ring_init(struct log_ring *ring)
{
    atomic_init(&ring->write_position, 0);
    ring->read_position = 0;
    for (uint64_t i = 0; i < LOG_RING_LINES; i++)
        atomic_init(&ring->cells[i].turn, i);
}

struct log_cell *log_ring_push_begin(struct log_ring *ring)
{
    uint64_t position = atomic_load_explicit(&ring->write_position, memory_order_relaxed);
    for (;;) {
        struct log_cell *cell = ring_cell(ring, position);
        uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn < position)
            return NULL;
        if (turn > position) {
            position = atomic_load_explicit(&ring->write_position, memory_order_relaxed);
            continue;
        }
        if (atomic_compare_exchange_weak_explicit(&ring->write_position, &position, position + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return cell;
    }
}

void log_ring_push_end(struct log_cell *cell)
{
    /* Nobody else writes the turn between claim and publication. */
    uint64_t position = atomic_load_explicit(&cell->turn, memory_order_relaxed);
    atomic_store_explicit(&cell->turn, position + 1, memory_order_release);
}

const struct log_entry *log_ring_first(struct log_ring *ring)
{
    struct log_cell *cell = ring_cell(ring, ring->read_position);
    uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
    return turn == ring->read_position + 1 ? &cell->entry : NULL;
}

void log_ring_pop(struct log_ring *ring)
{
    struct log_cell *cell = ring_cell(ring, ring->read_position);
    atomic_store_explicit(&cell->turn, ring->read_position + LOG_RING_LINES, memory_order_release);
    ring->read_position++;
}
