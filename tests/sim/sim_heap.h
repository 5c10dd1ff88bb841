/* What will happen, ordered by (time, sequence): two things of one moment happen in the order in
 * which they were planned. A heap with four children to each place. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sim_item {
    uint64_t at_us, sequence;
    union {
        void *ptr;
        uint64_t value;
    };
    uint32_t life; /* of the node: what was planned for a former one is void */
    uint16_t node;
    uint8_t what; /* enum sim_what */
    uint8_t end;
};

struct sim_heap {
    struct sim_item *items;
    size_t count, size;
    uint64_t sequence;
};

void sim_heap_free(struct sim_heap *heap);
/* Gives it its sequence. */
void sim_heap_push(struct sim_heap *heap, struct sim_item item);
/* count > 0. */
struct sim_item sim_heap_pop(struct sim_heap *heap);
