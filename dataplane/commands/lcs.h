/* The longest common subsequence of two byte strings, resumable. Pure.
 *
 * len[i][j] is the length for the first i bytes of a and j of b. Among equal lengths the walk back
 * prefers to skip bytes of b, as Redis does, so that the same matches come out. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct lcs_match {
    uint32_t a_start, b_start, len;
};

struct lcs {
    uint8_t *a, *b; /* owned */
    uint32_t a_len, b_len;
    uint32_t row_count;      /* rows kept: all, or two when only the length is wanted */
    uint32_t row, column;    /* next cell to fill */
    uint32_t *len;           /* row_count rows of b_len + 1 */
    uint32_t i, j;           /* walk back: bytes of a and b still ahead */
    struct lcs_match *match; /* contiguous pieces that both have in common, the last first */
    uint32_t match_count, match_size;
};

/* After a, b (malloc), a_len and b_len are set, the rest zero. len_only: no matches are wanted.
 * False: a or b is NULL or memory is short; lcs_fini() is due all the same. */
bool lcs_init(struct lcs *l, bool len_only);
void lcs_fini(struct lcs *l);

enum lcs_result { LCS_MORE, LCS_DONE, LCS_NO_MEMORY };
/* About budget cells of the table or of the way back. */
enum lcs_result lcs_step(struct lcs *l, uint32_t budget);
/* Once done. */
uint32_t lcs_len(const struct lcs *l);
