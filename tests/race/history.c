#include "history.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "check.h"

/* States that led nowhere, by their hash; more than these are searched again. */
#define SEEN_SIZE 16384
#define SEEN_MAX (SEEN_SIZE / 2)

struct search {
    const struct history *h;
    uint8_t done[HISTORY_THREADS_MAX];
    unsigned seen_count;
    uint64_t seen[SEEN_SIZE]; /* 0: free */
};

static bool seen_before(struct search *s, const struct model *m)
{
    uint64_t place = 0;
    for (unsigned i = 0; i < HISTORY_THREADS_MAX; i++)
        place = place << 8 | s->done[i];
    uint64_t hash = XXH3_64bits_withSeed(m, sizeof(*m), place) | 1;
    unsigned at = (unsigned)(hash >> 32) % SEEN_SIZE;
    for (; s->seen[at]; at = (at + 1) % SEEN_SIZE)
        if (s->seen[at] == hash)
            return true;
    if (s->seen_count < SEEN_MAX) {
        s->seen[at] = hash;
        s->seen_count++;
    }
    return false;
}

static const struct operation *next_of(const struct search *s, unsigned thread)
{
    if (s->done[thread] == s->h->counts[thread])
        return NULL;
    return &s->h->operations[thread][s->done[thread]];
}

/* Nothing that is not in the order yet had ended before o began. */
static bool may_come_next(const struct search *s, const struct operation *o)
{
    for (unsigned i = 0; i < s->h->thread_count; i++) {
        const struct operation *other = next_of(s, i);
        if (other && other->ended_ns < o->began_ns)
            return false;
    }
    return true;
}

/* As deep as there are operations and keys that expire. */
static bool search(struct search *s, const struct model *m)
{
    bool all = true;
    if (seen_before(s, m))
        return false;
    for (unsigned i = 0; i < s->h->thread_count; i++) {
        const struct operation *o = next_of(s, i);
        all &= !o;
        if (!o || !may_come_next(s, o))
            continue;
        struct model after = *m;
        struct model_reply reply;
        model_apply(&after, i, o, &reply);
        if (strcmp(reply.text, o->reply) != 0)
            continue;
        s->done[i]++;
        if (search(s, &after))
            return true;
        s->done[i]--;
    }
    for (unsigned k = 0; !all && k < MODEL_KEYS; k++) {
        struct model after = *m;
        if (!m->keys[k].expires)
            continue;
        model_expire(&after, k);
        if (search(s, &after))
            return true;
    }
    return all;
}

bool history_is_linearisable(const struct history *h)
{
    struct search s = {.h = h};
    CHECK(h->thread_count <= HISTORY_THREADS_MAX);
    return search(&s, &h->start);
}

/* ---- printing ---- */

static void print_command(const struct command_call *c, FILE *to)
{
    bool stores = c->kind >= SET && c->kind <= MSETNX;
    fprintf(to, " %s", command_kind_name(c->kind));
    for (unsigned i = 0; i < c->key_count; i++) {
        fprintf(to, " %c", 'a' + c->keys[i]);
        if (stores || c->kind == APPEND)
            fprintf(to, "=%s", c->values[i]);
    }
    fprintf(to, c->kind == SET_PX ? " PX 1;" : ";");
}

static void print_operation(unsigned thread, const struct operation *o, uint64_t base_ns, FILE *to)
{
    fprintf(to, "  thread %u  %9llu..%9llu ns %s", thread,
            (unsigned long long)(o->began_ns - base_ns),
            (unsigned long long)(o->ended_ns - base_ns), o->exec ? " MULTI" : "");
    for (unsigned i = 0; i < o->command_count; i++)
        print_command(&o->commands[i], to);
    fprintf(to, "  ->");
    for (const char *c = o->reply; *c; c++)
        fputc(*c == '\n' ? ' ' : *c, to);
    fputc('\n', to);
}

void history_print(const struct history *h, FILE *to)
{
    struct search s = {.h = h};
    uint64_t base_ns = 0;
    for (unsigned i = 0; i < MODEL_KEYS; i++)
        if (h->start.keys[i].exists)
            fprintf(to, "  before: %c = %s\n", 'a' + i, h->start.keys[i].text);
    for (;;) {
        const struct operation *first = NULL;
        unsigned thread = 0;
        for (unsigned i = 0; i < h->thread_count; i++) {
            const struct operation *o = next_of(&s, i);
            if (o && (!first || o->began_ns < first->began_ns)) {
                first = o;
                thread = i;
            }
        }
        if (!first)
            return;
        if (base_ns == 0)
            base_ns = first->began_ns;
        print_operation(thread, first, base_ns, to);
        s.done[thread]++;
    }
}
