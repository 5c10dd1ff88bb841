/* SCAN and KEYS. KEYS gives SCAN's guarantee and runs as a job; both look at a bounded number of
 * buckets at a time. */
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "job.h"
#include "numbers.h"
#include "scan_elements.h"
#include "string_value.h"
#include "work.h"

/* Keys that passed the filters: references to entries, good until the lcore is quiescent. */
struct scan_found {
    const struct entry **entry;
    size_t count, size;
    bool failed;          /* out of memory */
    struct slice pattern; /* data NULL: all */
    int type;             /* -1: all; OBJ_TYPES: none */
};

static bool scan_wanted(const struct scan_found *f, const struct entry *e)
{
    if (f->type >= 0 && (int)entry_type(e) != f->type)
        return false;
    return !f->pattern.data || glob_match(f->pattern, entry_key(e), false);
}

static void scan_collect(void *arg, const struct entry *e)
{
    struct scan_found *f = arg;
    if (!scan_wanted(f, e))
        return;
    if (f->count == f->size) {
        size_t size = f->size ? 2 * f->size : 64;
        const struct entry **more = realloc(f->entry, size * sizeof(*more));
        if (!more) {
            f->failed = true;
            return;
        }
        f->entry = more;
        f->size = size;
    }
    f->entry[f->count++] = e;
}

static bool is_star(struct slice pattern)
{
    return pattern.len == 1 && pattern.data[0] == '*';
}

static int type_of_name(struct slice name)
{
    for (int t = 0; t < OBJ_TYPES; t++) {
        if (slice_equal_word(name, entry_type_name((enum obj_type)t)))
            return t;
    }
    return OBJ_TYPES;
}

/* False: an error was replied. */
static bool scan_parse(struct call *c, struct scan_found *f, int64_t *count)
{
    *count = 10;
    for (uint32_t i = 2; i < c->argc; i += 2) {
        bool has_value = i + 1 < c->argc;
        if (has_value && slice_equal_word(c->argv[i], "count")) {
            if (!string_parse_i64(c, c->argv[i + 1], count))
                return false;
            if (*count < 1) {
                reply_error(c->reply, REPLY_SYNTAX);
                return false;
            }
        } else if (has_value && slice_equal_word(c->argv[i], "match")) {
            f->pattern = is_star(c->argv[i + 1]) ? slice_from(NULL, 0) : c->argv[i + 1];
        } else if (has_value && slice_equal_word(c->argv[i], "type")) {
            f->type = type_of_name(c->argv[i + 1]);
        } else {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Redis gives up after ten buckets per key asked for. */
#define SCAN_BUCKETS_PER_KEY 10
/* In elements (work.h): up to seven entries are looked at per bucket, and it may take ten buckets
 * to find a key. */
#define SCAN_BUCKET_COST 4
#define SCAN_KEY_COST 8

/* Replies with what was found, at once: entries live until others run. */
static void scan_reply_found(struct call *c, struct scan_found *f, uint64_t *count)
{
    for (size_t i = 0; i < f->count; i++)
        reply_bulk(c->reply, entry_key(f->entry[i]));
    *count += f->count;
    f->count = 0;
}

/* *count: how many are wanted, then how many were found. The next cursor. */
static uint64_t scan_some(struct call *c, struct scan_found *f, uint64_t cursor, uint64_t *count)
{
    uint64_t wanted = *count;
    uint64_t buckets =
        wanted > INT64_MAX / SCAN_BUCKETS_PER_KEY ? INT64_MAX : wanted * SCAN_BUCKETS_PER_KEY;
    *count = 0;
    do {
        cursor = ks_scan(c->ks, cursor, 1, scan_collect, f);
        scan_reply_found(c, f, count);
    } while (call_pace(c, SCAN_BUCKET_COST) && cursor != 0 && --buckets > 0 && *count < wanted &&
             !f->failed);
    return cursor;
}

void cmd_scan(struct call *c)
{
    struct scan_found f = {.type = -1};
    uint64_t cursor;
    int64_t wanted;
    if (!scan_cursor_parse(c->argv[1], &cursor)) {
        reply_error(c->reply, "ERR invalid cursor");
        return;
    }
    if (!scan_parse(c, &f, &wanted) ||
        call_is_long(c, wanted > INT32_MAX ? INT32_MAX : (uint64_t)wanted * SCAN_KEY_COST))
        return;
    uint64_t count = (uint64_t)wanted;
    struct reply_deferred keys;
    char text[NUMBER_TEXT_SIZE];
    reply_defer_begin(c->reply, &keys);
    cursor = scan_some(c, &f, cursor, &count);
    free(f.entry);
    if (f.failed) {
        outbuf_clear(&keys.inner);
        c->reply->out = keys.outer;
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    /* The cursor is known only now, and stands before the keys. */
    c->reply->out = keys.outer;
    reply_array(c->reply, 2);
    reply_bulk(c->reply, slice_from(text, format_u64(text, cursor)));
    c->reply->out = &keys.inner;
    reply_defer_end(c->reply, &keys, '*', count);
}

/* ---- KEYS ---- */

struct keys_job {
    struct job job;
    struct scan_found found;
    uint64_t cursor, count;
    struct outbuf text; /* the elements of the reply so far */
    struct slice pattern;
};

#define KEYS_BUCKETS_PER_STEP 64

static void keys_free(struct job *j)
{
    struct keys_job *k = container_from(j, struct keys_job, job);
    outbuf_clear(&k->text);
    free(k->found.entry);
    free((void *)(uintptr_t)k->pattern.data);
    free(k);
}

static bool keys_step(struct job *j)
{
    struct keys_job *k = container_from(j, struct keys_job, job);
    struct reply elements = {.out = &k->text, .protocol = j->reply->protocol};
    k->found.count = 0;
    k->cursor = ks_scan(j->ks, k->cursor, KEYS_BUCKETS_PER_STEP, scan_collect, &k->found);
    for (size_t i = 0; i < k->found.count; i++)
        reply_bulk(&elements, entry_key(k->found.entry[i]));
    k->count += k->found.count;
    if (k->found.failed) {
        reply_error(j->reply, REPLY_OOM);
        return true;
    }
    if (k->cursor != 0)
        return false;
    reply_array(j->reply, k->count);
    if (!j->reply->muted)
        outbuf_splice(j->reply->out, &k->text);
    return true;
}

void cmd_keys(struct call *c)
{
    struct keys_job *k = calloc(1, sizeof(*k));
    uint8_t *pattern = malloc(c->argv[1].len + 1);
    if (!k || !pattern) {
        free(k);
        free(pattern);
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    memcpy(pattern, c->argv[1].data, c->argv[1].len);
    k->pattern = slice_from(pattern, c->argv[1].len);
    k->found.type = -1;
    k->found.pattern = is_star(k->pattern) ? slice_from(NULL, 0) : k->pattern;
    outbuf_init(&k->text);
    k->job.step = keys_step;
    k->job.free = keys_free;
    job_start(c, &k->job);
}
