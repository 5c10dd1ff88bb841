#include "games.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "qsbr.h"

#define PLAYERS 3
#define ACCOUNTS 4
#define BALANCE 1000
#define BEADS 10 /* on two strings */
#define STARES 32
#define HIT_EVERY 20
#define HIT_WITHIN_US 200
#define FLUSH_SELDOM 20

struct play {
    const struct game *game;
    struct game_result *result;
    uint64_t operations; /* of each player */
    pthread_barrier_t barrier;
    _Atomic(uint64_t) values, done;
    _Atomic(uint64_t) increments, swaps; /* that were told to have worked */
    _Atomic(unsigned) playing;
};

/* ---- words ---- */

static void expect(bool right, const struct lane *l, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "%s: lcore %u got: %s\n", what, l->lcore, l->reply.text);
    abort();
}

static void expect_reply(struct lane *l, const char *want, const char *what)
{
    lane_reply(l);
    expect(strcmp(l->reply.text, want) == 0, l, what);
}

/* Asks for what was said; the replies before EXEC's are taken. */
static void ask_exec(struct lane *l, unsigned queued)
{
    lane_say(l, "EXEC", NULL);
    lane_ask(l);
    expect_reply(l, "+OK\n", "MULTI");
    for (unsigned i = 0; i < queued; i++)
        expect_reply(l, "+QUEUED\n", "a command inside MULTI");
}

/* The two lines behind "*2" are equal. */
static bool equal_pair(const char *reply)
{
    size_t len = strlen(reply);
    if (strncmp(reply, "*2\n", 3) != 0 || (len - 3) % 2 != 0)
        return false;
    return memcmp(reply + 3, reply + 3 + (len - 3) / 2, (len - 3) / 2) == 0;
}

static bool coin(struct lane *l)
{
    return rng_below(&l->rng, 2);
}

/* ---- pairs: written together, by MSET or EXEC; read together, so equal ---- */

/* Half of the pairs lie in two slots, where there are several. */
static void pair_names(struct lane *l, char (*names)[NAME_MAX_BYTES])
{
    unsigned number = (unsigned)rng_below(&l->rng, 4);
    bool apart = coin(l);
    lane_name(l, names[0], apart ? "near" : "left", number);
    lane_name(l, names[1], apart ? "far" : "right", number + apart);
}

static void pair_write(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES], value[24];
    pair_names(l, names);
    snprintf(value, sizeof(value), "%llu%s", (unsigned long long)atomic_fetch_add(&p->values, 1),
             rng_below(&l->rng, 8) ? "" : "#");
    if (coin(l)) {
        lane_say(l, "MSET", names[0], value, names[1], value, NULL);
        lane_ask(l);
        expect_reply(l, "+OK\n", "MSET");
        return;
    }
    unsigned first = (unsigned)rng_below(&l->rng, 2);
    lane_say(l, "MULTI", NULL);
    lane_say(l, "SET", names[first], "never seen", NULL);
    lane_say(l, "DEL", names[first], NULL);
    lane_say(l, "SET", names[first], value, NULL);
    lane_say(l, "SET", names[!first], value, NULL);
    ask_exec(l, 4);
    expect_reply(l, "*4\n+OK\n:1\n+OK\n+OK\n", "a pair written by EXEC");
}

static void pair_read(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    pair_names(l, names);
    if (coin(l)) {
        lane_say(l, "MGET", names[0], names[1], NULL);
        lane_ask(l);
    } else {
        lane_say(l, "MULTI", NULL);
        lane_say(l, "GET", names[0], NULL);
        lane_say(l, "GET", names[1], NULL);
        ask_exec(l, 2);
    }
    lane_reply(l);
    expect(equal_pair(l->reply.text) && !strstr(l->reply.text, "never"), l, "a pair");
}

/* Many reads in one burst, so that an lcore is most of its time within one: of both keys, */
static void pair_stare(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    pair_names(l, names);
    for (unsigned i = 0; i < STARES; i++)
        lane_say(l, "MGET", names[0], names[1], NULL);
    lane_ask(l);
    while (lane_reply_left(l)) {
        lane_reply(l);
        expect(equal_pair(l->reply.text) && !strstr(l->reply.text, "never"), l, "a pair");
    }
}

/* and of one, which EXEC sets and deletes before it sets it again: neither is seen. */
static void single_stare(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    bool there = false;
    pair_names(l, names);
    for (unsigned i = 0; i < STARES; i++)
        lane_say(l, "GET", names[i % 2], NULL);
    lane_ask(l);
    while (lane_reply_left(l)) {
        lane_reply(l);
        there |= l->reply.text[0] == '$';
        expect((!there || p->game->flushing || l->reply.text[0] == '$') &&
                   strcmp(l->reply.text, "$never seen\n") != 0,
               l, "one of a pair");
    }
}

/* ---- accounts: transfers inside EXEC keep the sum ---- */

static void account_name(struct lane *l, char *name, unsigned number)
{
    lane_name(l, name, "account", number);
}

static void transfer(struct play *p, struct lane *l)
{
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES], amount[24];
    unsigned first = (unsigned)rng_below(&l->rng, ACCOUNTS);
    account_name(l, from, first);
    account_name(l, to, (first + 1 + (unsigned)rng_below(&l->rng, ACCOUNTS - 1)) % ACCOUNTS);
    snprintf(amount, sizeof(amount), "%u", 1 + (unsigned)rng_below(&l->rng, 9));
    lane_say(l, "MULTI", NULL);
    lane_say(l, "DECRBY", from, amount, NULL);
    lane_say(l, "INCRBY", to, amount, NULL);
    ask_exec(l, 2);
    lane_reply(l);
    expect(strncmp(l->reply.text, "*2\n:", 4) == 0, l, "a transfer");
}

static void audit(struct play *p, struct lane *l)
{
    char names[ACCOUNTS][NAME_MAX_BYTES];
    long sum = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        account_name(l, names[i], i);
    lane_say(l, "MGET", names[0], names[1], names[2], names[3], NULL);
    lane_ask(l);
    lane_reply(l);
    for (const char *at = strchr(l->reply.text, '$'); at; at = strchr(at + 1, '$'))
        sum += strtol(at + 1, NULL, 10);
    expect(sum == (long)ACCOUNTS * BALANCE, l, "the sum of all accounts");
}

/* ---- counters: no increment is lost, not even one by WATCH ---- */

static void increment(struct play *p, struct lane *l)
{
    char name[NAME_MAX_BYTES];
    lane_name(l, name, "counter", 0);
    lane_say(l, "INCR", name, NULL);
    lane_ask(l);
    lane_reply(l);
    atomic_fetch_add(&p->increments, 1);
    expect(l->reply.text[0] == ':', l, "INCR");
}

static void swap(struct play *p, struct lane *l)
{
    char name[NAME_MAX_BYTES], next[24];
    lane_name(l, name, "swapped", 1);
    lane_say(l, "WATCH", name, NULL);
    lane_say(l, "GET", name, NULL);
    lane_ask(l);
    expect_reply(l, "+OK\n", "WATCH");
    lane_reply(l);
    snprintf(next, sizeof(next), "%ld", strtol(l->reply.text + 1, NULL, 10) + 1);
    lane_say(l, "MULTI", NULL);
    lane_say(l, "SET", name, next, NULL);
    ask_exec(l, 1);
    lane_reply(l);
    if (l->reply.text[0] != '_') {
        expect(strcmp(l->reply.text, "*1\n+OK\n") == 0, l, "a swap");
        atomic_fetch_add(&p->swaps, 1);
    }
}

/* ---- names: RENAME leaves no gap, and inside EXEC not even the other name shows ---- */

static void shuttle(struct play *p, struct lane *l)
{
    char home[NAME_MAX_BYTES], away[NAME_MAX_BYTES];
    lane_name(l, home, "home", 0);
    lane_name(l, away, "away", 1);
    lane_say(l, "MULTI", NULL);
    lane_say(l, "RENAME", home, away, NULL);
    lane_say(l, "RENAME", away, home, NULL);
    ask_exec(l, 2);
    expect_reply(l, "*2\n+OK\n+OK\n", "RENAME to and fro");
}

static void shuttle_read(struct play *p, struct lane *l)
{
    char home[NAME_MAX_BYTES], away[NAME_MAX_BYTES];
    lane_name(l, home, "home", 0);
    lane_name(l, away, "away", 1);
    lane_say(l, "GET", home, NULL);
    lane_say(l, "GET", away, NULL);
    lane_say(l, "EXISTS", away, home, NULL);
    lane_say(l, "MGET", away, home, NULL);
    lane_ask(l);
    expect_reply(l, "$here\n", "what is renamed within EXEC");
    expect_reply(l, "_\n", "a name that only EXEC sees");
    expect_reply(l, ":1\n", "EXISTS of both names");
    expect_reply(l, "*2\n_\n$here\n", "MGET of both names");
}

static void wander(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    unsigned from = (unsigned)rng_below(&l->rng, 2);
    lane_name(l, names[0], "one", 0);
    lane_name(l, names[1], "other", 1);
    lane_say(l, "RENAME", names[from], names[!from], NULL);
    lane_say(l, "EXISTS", names[0], names[1], NULL);
    lane_say(l, "MGET", names[from], names[!from], NULL);
    lane_ask(l);
    lane_reply(l);
    expect_reply(l, ":1\n", "EXISTS of old and new name");
    lane_reply(l);
    expect(strcmp(l->reply.text, "*2\n_\n$there\n") == 0 ||
               strcmp(l->reply.text, "*2\n$there\n_\n") == 0,
           l, "MGET of old and new name");
}

/* ---- beads: LMOVE and SMOVE keep how many there are ---- */

static void move_bead(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    unsigned from = (unsigned)rng_below(&l->rng, 2);
    lane_name(l, names[0], "string", 0);
    lane_name(l, names[1], "string", 1);
    lane_say(l, "LMOVE", names[from], names[!from], "LEFT", coin(l) ? "LEFT" : "RIGHT", NULL);
    lane_ask(l);
    lane_reply(l);
    expect(l->reply.text[0] == '$' || l->reply.text[0] == '_', l, "LMOVE");
}

static void count_beads(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    int one = 0, other = 0;
    lane_name(l, names[0], "string", 0);
    lane_name(l, names[1], "string", 1);
    lane_say(l, "MULTI", NULL);
    lane_say(l, "LLEN", names[0], NULL);
    lane_say(l, "LLEN", names[1], NULL);
    ask_exec(l, 2);
    lane_reply(l);
    expect(sscanf(l->reply.text, "*2\n:%d\n:%d\n", &one, &other) == 2 && one + other == BEADS, l,
           "beads on both strings");
}

/* ---- what goes by itself ---- */

static void expire(struct play *p, struct lane *l)
{
    char name[NAME_MAX_BYTES];
    lane_name(l, name, "brief", (unsigned)rng_below(&l->rng, 4));
    lane_say(l, "MULTI", NULL);
    lane_say(l, "SET", name, "soon gone", "PX", "1", NULL);
    lane_say(l, "GET", name, NULL);
    ask_exec(l, 2);
    expect_reply(l, "*2\n+OK\n$soon gone\n", "time stands still within EXEC");
    lane_say(l, "GET", name, NULL);
    lane_ask(l);
    lane_reply(l);
    expect(l->reply.text[0] == '_' || strcmp(l->reply.text, "$soon gone\n") == 0, l, "PX 1");
}

static void flush(struct play *p, struct lane *l)
{
    char names[2][NAME_MAX_BYTES];
    if (rng_below(&l->rng, FLUSH_SELDOM) != 0)
        return;
    pair_names(l, names);
    if (coin(l)) {
        lane_say(l, "FLUSHALL", NULL);
        lane_ask(l);
        expect_reply(l, "+OK\n", "FLUSHALL");
        return;
    }
    lane_say(l, "MULTI", NULL);
    lane_say(l, "FLUSHALL", NULL);
    lane_say(l, "EXISTS", names[0], names[1], NULL);
    lane_say(l, "MSET", names[0], "1", names[1], "1", NULL);
    ask_exec(l, 3);
    expect_reply(l, "*3\n+OK\n:0\n+OK\n", "FLUSHALL within EXEC");
}

typedef void (*move_fn)(struct play *p, struct lane *l);

static const move_fn steady_moves[] = {
    pair_write, pair_write, pair_read,    pair_stare, single_stare, transfer,    audit,  increment,
    swap,       shuttle,    shuttle_read, wander,     move_bead,    count_beads, expire,
};
static const move_fn flushing_moves[] = {
    pair_write, pair_write, pair_write, pair_write,   pair_read, pair_stare, pair_stare,
    pair_stare, pair_stare, pair_stare, single_stare, expire,    flush,
};

/* ---- playing ---- */

static void set_up(struct play *p, struct lane *l)
{
    char name[NAME_MAX_BYTES], balance[24];
    if (p->game->flushing)
        return;
    snprintf(balance, sizeof(balance), "%d", BALANCE);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        account_name(l, name, i);
        lane_say(l, "SET", name, balance, NULL);
    }
    lane_name(l, name, "home", 0);
    lane_say(l, "SET", name, "here", NULL);
    lane_name(l, name, "one", 0);
    lane_say(l, "SET", name, "there", NULL);
    lane_name(l, name, "string", 0);
    for (unsigned i = 0; i < BEADS; i++)
        lane_say(l, "RPUSH", name, "bead", NULL);
    lane_ask(l);
    while (lane_reply_left(l))
        lane_reply(l);
}

static void expect_count(struct lane *l, const char *kind, unsigned number, uint64_t want)
{
    char name[NAME_MAX_BYTES], text[32];
    lane_name(l, name, kind, number);
    lane_say(l, "GET", name, NULL);
    lane_ask(l);
    snprintf(text, sizeof(text), want ? "$%llu\n" : "_\n", (unsigned long long)want);
    expect_reply(l, text, kind);
}

static void lane_play(struct lane *l, void *arg)
{
    struct play *p = arg;
    bool flushing = p->game->flushing;
    const move_fn *moves = flushing ? flushing_moves : steady_moves;
    size_t count = flushing ? count_of(flushing_moves) : count_of(steady_moves);
    if (l->lcore == 0)
        set_up(p, l);
    qsbr_offline();
    pthread_barrier_wait(&p->barrier);
    qsbr_online();
    if (l->lcore == PLAYERS) {
        lane_churn(l);
        return;
    }
    for (uint64_t i = 0; i < p->operations; i++) {
        if (i % HIT_EVERY == 0)
            disturb_soon(&l->disturb, &l->noise, HIT_WITHIN_US);
        moves[rng_below(&l->rng, count)](p, l);
        CHECK(!lane_reply_left(l));
    }
    atomic_fetch_add(&p->done, p->operations);
    if (atomic_fetch_sub(&p->playing, 1) == 1) {
        if (!flushing) {
            expect_count(l, "counter", 0, atomic_load(&p->increments));
            expect_count(l, "swapped", 1, atomic_load(&p->swaps));
            audit(p, l);
        }
        atomic_store(&l->race->over, true);
    }
}

void game_run(const struct game *g, uint64_t seed, uint64_t operations, struct game_result *result)
{
    struct play play = {
        .game = g,
        .operations = operations / PLAYERS,
        .values = 1000,
        .playing = PLAYERS,
    };
    const struct race_plan plan = {
        .places = g->places,
        .one_cpu = g->one_cpu,
        .lane_count = PLAYERS + 1,
        .seed = seed,
        .run = lane_play,
        .arg = &play,
    };
    *result = (struct game_result){0};
    CHECK(pthread_barrier_init(&play.barrier, NULL, PLAYERS + 1) == 0);
    race_run(&plan, &result->hits);
    result->operations = atomic_load(&play.done);
    pthread_barrier_destroy(&play.barrier);
}

const struct game games[] = {
    {.name = "free, one slot", .places = {1, {"t"}}},
    {.name = "free, across slots", .places = {4, {"a", "b", "c", "d"}}},
    {.name = "free, across slots, one CPU", .places = {2, {"t", "u"}}, .one_cpu = true},
    {.name = "free, flushing", .places = {2, {"t", "u"}}, .flushing = true},
};
const unsigned game_count = count_of(games);
