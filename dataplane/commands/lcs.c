#include "lcs.h"
#include <stdlib.h>
#include "check.h"

static uint32_t *lcs_row(const struct lcs *l, uint32_t i)
{
    return l->len + (size_t)(i % l->row_count) * ((size_t)l->b_len + 1);
}

bool lcs_init(struct lcs *l, bool len_only)
{
    l->row_count = len_only ? 2 : l->a_len + 1;
    l->row = 1;
    l->column = 1;
    l->i = len_only ? 0 : l->a_len;
    l->j = l->b_len;
    if (l->a && l->b)
        l->len = calloc(l->row_count, ((size_t)l->b_len + 1) * sizeof(uint32_t));
    return l->len != NULL;
}

void lcs_fini(struct lcs *l)
{
    free(l->a);
    free(l->b);
    free(l->len);
    free(l->match);
    *l = (struct lcs){0};
}

/* Fills at most budget cells of the current row; how many. */
static uint32_t fill(struct lcs *l, uint32_t budget)
{
    const uint32_t *above = lcs_row(l, l->row - 1);
    uint32_t *row = lcs_row(l, l->row);
    uint8_t byte = l->a[l->row - 1];
    uint32_t left = l->b_len + 1 - l->column;
    uint32_t first = l->column;
    uint32_t end = first + (left < budget ? left : budget);
    for (uint32_t j = first; j < end; j++) {
        if (byte == l->b[j - 1])
            row[j] = above[j - 1] + 1;
        else
            row[j] = above[j] > row[j - 1] ? above[j] : row[j - 1];
    }
    l->column = end;
    if (end > l->b_len) {
        l->row++;
        l->column = 1;
    }
    return end - first;
}

static bool match_add(struct lcs *l, struct lcs_match match)
{
    if (l->match_count == l->match_size) {
        uint32_t size = l->match_size ? 2 * l->match_size : 16;
        struct lcs_match *more = realloc(l->match, size * sizeof(*more));
        if (!more)
            return false;
        l->match = more;
        l->match_size = size;
    }
    l->match[l->match_count++] = match;
    return true;
}

/* One step back where the bytes differ. */
static void walk_skip(struct lcs *l)
{
    if (lcs_row(l, l->i - 1)[l->j] > lcs_row(l, l->i)[l->j - 1])
        l->i--;
    else
        l->j--;
}

/* Back over one run of equal bytes. False: out of memory. */
static bool walk_match(struct lcs *l)
{
    uint32_t len = 0;
    while (l->i > 0 && l->j > 0 && l->a[l->i - 1] == l->b[l->j - 1]) {
        l->i--;
        l->j--;
        len++;
    }
    return match_add(l, (struct lcs_match){l->i, l->j, len});
}

enum lcs_result lcs_step(struct lcs *l, uint32_t budget)
{
    uint32_t done = 0;
    while (l->row <= l->a_len) {
        if (done >= budget)
            return LCS_MORE;
        done += fill(l, budget - done) + 1;
    }
    for (; l->i > 0 && l->j > 0; done++) {
        if (done >= budget)
            return LCS_MORE;
        if (l->a[l->i - 1] != l->b[l->j - 1])
            walk_skip(l);
        else if (!walk_match(l))
            return LCS_NO_MEMORY;
    }
    return LCS_DONE;
}

uint32_t lcs_len(const struct lcs *l)
{
    return lcs_row(l, l->a_len)[l->b_len];
}
