/* LCS: the longest common subsequence of two strings, by the usual table of lengths, row by row in
 * a job. */
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "job.h"
#include "lcs.h"
#include "string_value.h"

struct lcs_job {
    struct job job;
    struct lcs lcs;
    bool want_len, want_ranges, want_match_len;
    int64_t match_len_min;
};

#define LCS_CELLS_PER_STEP 16384

static void lcs_free_job(struct job *j)
{
    struct lcs_job *l = container_from(j, struct lcs_job, job);
    lcs_fini(&l->lcs);
    free(l);
}

static void reply_range(struct reply *r, uint32_t start, uint32_t len)
{
    reply_array(r, 2);
    reply_i64(r, start);
    reply_i64(r, (int64_t)start + len - 1);
}

static void lcs_reply_ranges(struct reply *r, const struct lcs_job *l)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < l->lcs.match_count; i++)
        count += l->lcs.match[i].len >= l->match_len_min;
    reply_map(r, 2);
    reply_bulk_str(r, "matches");
    reply_array(r, count);
    for (uint32_t i = 0; i < l->lcs.match_count; i++) {
        const struct lcs_match *match = &l->lcs.match[i];
        if (match->len < l->match_len_min)
            continue;
        reply_array(r, l->want_match_len ? 3 : 2);
        reply_range(r, match->a_start, match->len);
        reply_range(r, match->b_start, match->len);
        if (l->want_match_len)
            reply_i64(r, match->len);
    }
    reply_bulk_str(r, "len");
    reply_i64(r, lcs_len(&l->lcs));
}

static void lcs_reply_text(struct reply *r, const struct lcs_job *l)
{
    reply_bulk_begin(r, lcs_len(&l->lcs));
    for (uint32_t i = l->lcs.match_count; i > 0; i--) {
        const struct lcs_match *match = &l->lcs.match[i - 1];
        reply_raw(r, slice_from(l->lcs.a + match->a_start, match->len));
    }
    reply_bulk_end(r);
}

static bool lcs_step_job(struct job *j)
{
    struct lcs_job *l = container_from(j, struct lcs_job, job);
    enum lcs_result result = lcs_step(&l->lcs, LCS_CELLS_PER_STEP);
    if (result == LCS_MORE)
        return false;
    if (result == LCS_NO_MEMORY)
        reply_error(j->reply, REPLY_OOM);
    else if (l->want_ranges)
        lcs_reply_ranges(j->reply, l);
    else if (l->want_len)
        reply_i64(j->reply, lcs_len(&l->lcs));
    else
        lcs_reply_text(j->reply, l);
    return true;
}

/* False: an error was replied. */
static bool lcs_parse(struct call *c, struct lcs_job *l)
{
    for (uint32_t i = 3; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (slice_equal_word(word, "idx"))
            l->want_ranges = true;
        else if (slice_equal_word(word, "len"))
            l->want_len = true;
        else if (slice_equal_word(word, "withmatchlen"))
            l->want_match_len = true;
        else if (slice_equal_word(word, "minmatchlen") && i + 1 < c->argc) {
            if (!string_parse_i64(c, c->argv[++i], &l->match_len_min))
                return false;
        } else {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
    }
    if (l->want_ranges && l->want_len) {
        reply_error(c->reply, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

static uint8_t *copy_value(const struct entry *e, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    if (copy && e)
        string_copy(e, copy);
    return copy;
}

/* Takes copies, since the work may outlive the entries. False: an error was replied. */
static bool lcs_load(struct call *c, struct lcs_job *l, const struct entry *const e[2])
{
    size_t a_len = e[0] ? entry_string_len(e[0]) : 0;
    size_t b_len = e[1] ? entry_string_len(e[1]) : 0;
    if (a_len >= UINT32_MAX - 1 || b_len >= UINT32_MAX - 1) {
        reply_error(c->reply, "ERR String too long for LCS");
        return false;
    }
    /* Redis' limit on the table; ours is smaller when only the length is wanted. */
    uint64_t cells;
    if (__builtin_mul_overflow((uint64_t)a_len + 1, (uint64_t)b_len + 1, &cells) ||
        cells > c->worker->config->proto_max_bulk_len / sizeof(uint32_t)) {
        reply_error(c->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
                              "proto-max-bulk-len");
        return false;
    }
    l->lcs = (struct lcs){.a = copy_value(e[0], a_len),
                          .b = copy_value(e[1], b_len),
                          .a_len = (uint32_t)a_len,
                          .b_len = (uint32_t)b_len};
    if (!lcs_init(&l->lcs, l->want_len)) {
        reply_error(c->reply,
                    "ERR Insufficient memory, failed allocating transient memory for LCS");
        return false;
    }
    return true;
}

void cmd_lcs(struct call *c)
{
    const struct entry *e[2];
    ks_get_many(c->ks, c->keys, 2, e, 0);
    for (int i = 0; i < 2; i++) {
        if (e[i] && entry_type(e[i]) != OBJ_STRING) {
            reply_error(c->reply, "ERR The specified keys must contain string values");
            return;
        }
    }
    struct lcs_job *l = calloc(1, sizeof(*l));
    if (!l) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    if (!lcs_parse(c, l) || !lcs_load(c, l, e)) {
        lcs_free_job(&l->job);
        return;
    }
    l->job.step = lcs_step_job;
    l->job.free = lcs_free_job;
    job_start(c, &l->job);
}
