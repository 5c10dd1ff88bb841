#include "tcp_sack.h"
#include <string.h>
#include "tcp_seq.h"

static void range_remove(struct tcp_sack_board *b, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        b->bytes -= b->range[i].right - b->range[i].left;
    memmove(&b->range[first], &b->range[first + count],
            (b->count - first - count) * sizeof(b->range[0]));
    b->count -= count;
}

/* By distance from una: two comparisons modulo 2^32 would let a block through that reaches half way
 * around. */
bool tcp_sack_block_valid(uint32_t una, uint32_t max, struct tcp_block block)
{
    uint32_t left = block.left - una, right = block.right - una;
    return 0 < left && left < right && right <= max - una;
}

uint32_t tcp_sack_add(struct tcp_sack_board *b, uint32_t una, uint32_t max, struct tcp_block block)
{
    if (!tcp_sack_block_valid(una, max, block))
        return 0;
    /* [first, last): the ranges that the block touches. */
    uint32_t first = 0;
    while (first < b->count && seq_lt(b->range[first].right, block.left))
        first++;
    uint32_t last = first;
    while (last < b->count && seq_leq(b->range[last].left, block.right))
        last++;
    if (first == last && b->count == TCP_SACK_RANGES_MAX)
        return 0;
    uint32_t before = b->bytes;
    if (first < last) {
        block.left = seq_min(block.left, b->range[first].left);
        block.right = seq_max(block.right, b->range[last - 1].right);
        range_remove(b, first, last - first);
    }
    memmove(&b->range[first + 1], &b->range[first], (b->count - first) * sizeof(b->range[0]));
    b->range[first] = block;
    b->count++;
    b->bytes += block.right - block.left;
    return b->bytes - before;
}

void tcp_sack_advance(struct tcp_sack_board *b, uint32_t una)
{
    /* An ACK into a range, or up to it, means that the peer has dropped what it had SACKed there.
     */
    uint32_t gone = 0;
    while (gone < b->count && seq_leq(b->range[gone].left, una))
        gone++;
    if (gone)
        range_remove(b, 0, gone);
}

uint32_t tcp_sack_lost_edge(const struct tcp_sack_board *b, uint32_t una, uint32_t mss)
{
    uint32_t bytes = 0;
    for (uint32_t i = b->count; i-- > 0;) {
        bytes += b->range[i].right - b->range[i].left;
        if (b->count - i >= TCP_DUP_ACKS || bytes > (TCP_DUP_ACKS - 1) * mss)
            return b->range[i].left;
    }
    return una;
}

uint32_t tcp_sack_missing(const struct tcp_sack_board *b, uint32_t from, uint32_t to)
{
    if (!seq_lt(from, to))
        return 0;
    uint32_t missing = to - from;
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t left = seq_max(from, b->range[i].left);
        uint32_t right = seq_min(to, b->range[i].right);
        if (seq_lt(left, right))
            missing -= right - left;
    }
    return missing;
}

bool tcp_sack_hole(const struct tcp_sack_board *b, uint32_t from, uint32_t to,
                   struct tcp_block *hole)
{
    uint32_t i = 0;
    for (; i < b->count && seq_leq(b->range[i].left, from); i++)
        from = seq_max(from, b->range[i].right);
    if (!seq_lt(from, to))
        return false;
    hole->left = from;
    hole->right = i < b->count ? seq_min(to, b->range[i].left) : to;
    return true;
}

uint32_t tcp_sack_pipe(const struct tcp_sack_board *b, uint32_t una, uint32_t max,
                       uint32_t retransmitted_to, uint32_t mss)
{
    uint32_t lost_edge = tcp_sack_lost_edge(b, una, mss);
    return tcp_sack_missing(b, lost_edge, max) + tcp_sack_missing(b, una, retransmitted_to);
}
