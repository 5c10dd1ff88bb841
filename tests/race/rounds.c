#include "rounds.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "history.h"
#include "qsbr.h"

#define TEXT_KEPT_MAX 30 /* longer values do not go into the next round */
#define HIT_WITHIN_US 60
#define BURST_MAX 3

struct run {
    const struct scenario *scenario;
    const struct rounds *rounds;
    struct rounds_result *result;
    struct history history; /* w: lane 0 between rounds, then each lane its own operations */
    bool watched[LANES_MAX];
    bool flush;
    bool expires; /* a key may have an expiry after this round */
    uint64_t next_value;
    /* The lanes meet here before and after a round: they sleep until all have come, then all run
     * off at once. */
    pthread_barrier_t barrier;
    _Atomic(uint64_t) started;
    _Atomic(bool) stop;
};

/* ---- making up a round ---- */

static enum command_kind pick_kind(struct rng *rng, const struct scenario *s, bool in_exec)
{
    for (;;) {
        unsigned total = 0;
        for (unsigned i = 0; i < COMMAND_KINDS; i++)
            total += s->weights[i];
        uint64_t at = rng_below(rng, total);
        unsigned kind = 0;
        for (; at >= s->weights[kind]; kind++)
            at -= s->weights[kind];
        if (kind != WATCH || !in_exec)
            return (enum command_kind)kind;
    }
}

static unsigned pick_key_count(struct rng *rng, enum command_kind kind, unsigned keys)
{
    unsigned max = keys < COMMAND_KEYS_MAX ? keys : COMMAND_KEYS_MAX;
    switch (kind) {
    case MGET:
    case EXISTS:
    case MSET:
    case MSETNX:
    case DEL:
        return 1 + (unsigned)rng_below(rng, max);
    case RENAME:
    case COPY_REPLACE:
        return 2;
    case FLUSHALL:
        return 0;
    default:
        return 1;
    }
}

static void pick_value(struct run *run, struct rng *rng, char *value)
{
    bool fill = run->scenario->long_values && rng_below(rng, 4) > 0;
    /* Ten apart, so that increments of one seldom look like another. */
    snprintf(value, sizeof(((struct command_call *)0)->values[0]), "%llu5%s",
             (unsigned long long)(1 + run->next_value++ % 9000), fill ? "#" : "");
}

static void pick_command(struct run *run, struct rng *rng, struct command_call *c, bool in_exec)
{
    const struct scenario *s = run->scenario;
    *c = (struct command_call){.kind = pick_kind(rng, s, in_exec)};
    c->key_count = (uint8_t)pick_key_count(rng, c->kind, s->keys);
    unsigned used = 0;
    for (unsigned i = 0; i < c->key_count; i++) {
        unsigned key = (unsigned)rng_below(rng, s->keys);
        while (used >> key & 1)
            key = (key + 1) % s->keys;
        used |= 1u << key;
        c->keys[i] = (uint8_t)key;
        pick_value(run, rng, c->values[i]);
    }
    run->expires |= c->kind == SET_PX;
}

static void pick_operation(struct run *run, struct rng *rng, unsigned lane, struct operation *o)
{
    o->exec = rng_below(rng, 100) < run->scenario->exec_percent;
    o->command_count = 1;
    if (o->exec)
        o->command_count = (uint8_t)(1 + rng_below(rng, OPERATION_COMMANDS_MAX));
    for (unsigned i = 0; i < o->command_count; i++)
        pick_command(run, rng, &o->commands[i], o->exec);
    run->watched[lane] |= o->commands[0].kind == WATCH;
}

/* What lane 0 does between two rounds, to a key whose state is not certain or too long. */
static void reset_keys(struct run *run, struct lane *l)
{
    char name[NAME_MAX_BYTES], value[12];
    for (unsigned i = 0; i < run->scenario->keys; i++) {
        lane_name(l, name, "k", i);
        lane_say(l, "DEL", name, NULL);
        memset(&run->history.start.keys[i], 0, sizeof(run->history.start.keys[i]));
        if (rng_below(&l->rng, 3) == 0)
            continue;
        pick_value(run, &l->rng, value);
        lane_say(l, "SET", name, value, NULL);
        model_value_set(&run->history.start.keys[i], value, false);
    }
    lane_ask(l);
    while (lane_reply_left(l))
        CHECK(*lane_reply(l) != '-');
}

static void round_prepare(struct run *run, struct lane *l)
{
    const struct scenario *s = run->scenario;
    struct history *h = &run->history;
    bool reset = run->expires || run->result->rounds == 0;
    for (unsigned i = 0; i < s->keys; i++)
        reset |= h->start.keys[i].len > TEXT_KEPT_MAX;
    if (reset)
        reset_keys(run, l);
    run->expires = false;
    h->thread_count = s->lanes;
    memset(h->counts, 0, sizeof(h->counts));
    for (unsigned i = 0; i < s->lanes; i++) {
        run->watched[i] = false;
        h->counts[i] = s->operations;
        for (unsigned n = 0; n < s->operations; n++)
            pick_operation(run, &l->rng, i, &h->operations[i][n]);
    }
    if (rng_below(&l->rng, 1000) < s->flush_per_thousand)
        h->operations[rng_below(&l->rng, s->lanes)][rng_below(&l->rng, s->operations)] =
            (struct operation){.command_count = 1, .commands = {{.kind = FLUSHALL}}};
}

/* ---- running it ---- */

static void meet(struct run *run)
{
    qsbr_offline();
    pthread_barrier_wait(&run->barrier);
    qsbr_online();
}

/* Those that wake first wait for the last, so that all begin together. */
static void start_together(struct run *run)
{
    unsigned lanes = run->scenario->lanes;
    uint64_t mine = atomic_fetch_add(&run->started, 1);
    uint64_t all = (mine / lanes + 1) * lanes;
    for (unsigned i = 1; atomic_load(&run->started) < all; i++)
        if (i % 64 == 0)
            sched_yield();
}

static void lane_round(struct run *run, struct lane *l)
{
    struct operation *o = run->history.operations[l->lcore];
    unsigned count = run->scenario->operations;
    for (unsigned i = 0; i < count;) {
        unsigned burst = 1 + (unsigned)rng_below(&l->noise, BURST_MAX);
        if (burst > count - i)
            burst = count - i;
        if (rng_below(&l->noise, 2) || run->rounds->fault)
            burst = 1;
        if (!faulty_do(l, run->rounds->fault, &o[i]))
            lane_do(l, &o[i], burst);
        i += burst;
    }
    if (run->watched[l->lcore]) {
        lane_say(l, "UNWATCH", NULL);
        lane_ask(l);
        lane_reply(l);
    }
}

/* What is stored in the end, as operations of one more thread. */
static void observe(struct run *run, struct lane *l)
{
    struct history *h = &run->history;
    unsigned thread = h->thread_count++;
    h->counts[thread] = run->scenario->keys;
    for (unsigned i = 0; i < run->scenario->keys; i++)
        h->operations[thread][i] = (struct operation){
            .command_count = 1,
            .commands = {{.kind = GET, .key_count = 1, .keys = {(uint8_t)i}}},
        };
    lane_do(l, h->operations[thread], run->scenario->keys);
}

static void report(const struct run *run)
{
    fprintf(stderr, "%s, seed %llu, round %llu: not linearisable:\n", run->scenario->name,
            (unsigned long long)run->rounds->seed, (unsigned long long)run->result->rounds);
    history_print(&run->history, stderr);
}

/* The values observed are where the next round starts. */
static void start_from_end(struct run *run)
{
    struct history *h = &run->history;
    const struct operation *seen = h->operations[h->thread_count - 1];
    memset(&h->start, 0, sizeof(h->start));
    for (unsigned i = 0; i < run->scenario->keys; i++) {
        size_t len = strlen(seen[i].reply);
        if (seen[i].reply[0] != '$')
            continue;
        char text[REPLY_MAX];
        memcpy(text, seen[i].reply + 1, len - 2);
        text[len - 2] = '\0';
        model_value_set(&h->start.keys[i], text, false);
    }
}

static void round_check(struct run *run, struct lane *l)
{
    struct rounds_result *result = run->result;
    observe(run, l);
    if (!history_is_linearisable(&run->history)) {
        result->violated = true;
        if (!run->rounds->fault)
            report(run);
    }
    start_from_end(run);
    result->rounds++;
    result->operations += run->scenario->lanes * run->scenario->operations;
    if (result->violated || result->operations >= run->rounds->operations_wanted)
        atomic_store(&run->stop, true);
}

static void lane_rounds(struct lane *l, void *arg)
{
    struct run *run = arg;
    if (l->lcore == run->scenario->lanes) {
        lane_churn(l);
        return;
    }
    for (;;) {
        if (l->lcore == 0 && !atomic_load(&run->stop))
            round_prepare(run, l);
        meet(run);
        if (atomic_load(&run->stop))
            break;
        if (rng_below(&l->noise, 2))
            disturb_soon(&l->disturb, &l->noise, HIT_WITHIN_US);
        start_together(run);
        lane_round(run, l);
        meet(run);
        if (l->lcore == 0)
            round_check(run, l);
    }
    atomic_store(&l->race->over, true);
}

void rounds_run(const struct scenario *s, const struct rounds *r, struct rounds_result *result)
{
    static struct run run;
    run = (struct run){.scenario = s, .rounds = r, .result = result};
    *result = (struct rounds_result){0};
    CHECK(s->lanes < LANES_MAX);
    CHECK(s->operations <= HISTORY_OPERATIONS_MAX && s->keys <= HISTORY_OPERATIONS_MAX);
    CHECK(pthread_barrier_init(&run.barrier, NULL, s->lanes) == 0);
    const struct race_plan plan = {
        .places = *s->places,
        .one_cpu = s->one_cpu,
        .lane_count = s->lanes + 1,
        .seed = r->seed,
        .run = lane_rounds,
        .arg = &run,
    };
    race_run(&plan, &result->hits);
    pthread_barrier_destroy(&run.barrier);
}
