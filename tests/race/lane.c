#include "lane.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"
#include "clock.h"
#include "ks_memory.h"
#include "metrics.h"
#include "numbers.h"
#include "qsbr.h"

/* ---- threads ---- */

struct lane_start {
    struct lane lane;
    const struct race_plan *plan;
};

static void lane_begin(struct lane *l)
{
    struct race *race = l->race;
    disturb_pin(race->one_cpu ? 0 : l->lcore);
    metrics_attach((int)l->lcore);
    ks_mem_attach(l->lcore);
    qsbr_register();
    l->disturb.ks = test_worker(race->node, l->lcore)->ks;
    l->disturb.slots = race->slots;
    l->disturb.slot_count = race->places.tag_count;
    disturb_begin(&l->disturb);
}

static void lane_end(struct lane *l)
{
    disturb_end(&l->disturb);
    qsbr_unregister();
    free(l->request);
    free(l->replies);
}

static void *lane_main(void *arg)
{
    struct lane_start *start = arg;
    lane_begin(&start->lane);
    start->plan->run(&start->lane, start->plan->arg);
    lane_end(&start->lane);
    return NULL;
}

static void lane_init(struct lane *l, struct race *race, unsigned lcore, uint64_t seed)
{
    l->race = race;
    l->lcore = lcore;
    l->client = test_connect(race->node, lcore);
    rng_seed(&l->rng, seed * LANES_MAX + lcore);
    rng_seed(&l->noise, rng_next(&l->rng));
    rng_seed(&l->disturb.rng, rng_next(&l->rng));
}

static void race_init(struct race *race, const struct race_plan *plan)
{
    race->node = test_node_new(plan->lane_count);
    race->places = plan->places;
    race->one_cpu = plan->one_cpu;
    for (unsigned i = 0; i < plan->places.tag_count; i++)
        race->slots[i] = key_slot(slice_str(plan->places.tags[i]));
}

void race_run(const struct race_plan *plan, struct disturb_counts *hits)
{
    struct race race = {0};
    static struct lane_start starts[LANES_MAX];
    CHECK(plan->lane_count <= LANES_MAX);
    race_init(&race, plan);
    qsbr_offline();
    memset(starts, 0, sizeof(starts));
    for (unsigned i = 0; i < plan->lane_count; i++) {
        starts[i].plan = plan;
        lane_init(&starts[i].lane, &race, i, plan->seed);
    }
    for (unsigned i = 0; i < plan->lane_count; i++)
        CHECK(pthread_create(&starts[i].lane.thread, NULL, lane_main, &starts[i]) == 0);
    for (unsigned i = 0; i < plan->lane_count; i++) {
        pthread_join(starts[i].lane.thread, NULL);
        hits->hits += starts[i].lane.disturb.counts.hits;
        hits->slept += starts[i].lane.disturb.counts.slept;
        hits->holding += starts[i].lane.disturb.counts.holding;
    }
    qsbr_online();
    test_node_free(race.node);
}

/* ---- requests ---- */

void lane_name(const struct lane *l, char *name, const char *kind, unsigned number)
{
    const struct places *p = &l->race->places;
    snprintf(name, NAME_MAX_BYTES, "{%s}%s%u", p->tags[number % p->tag_count], kind, number);
}

static uint8_t *request_room(struct lane *l, size_t more)
{
    if (l->request_len + more > l->request_size) {
        l->request_size = 2 * (l->request_len + more);
        l->request = realloc(l->request, l->request_size);
        CHECK(l->request);
    }
    return l->request + l->request_len;
}

static void say_count(struct lane *l, char kind, size_t count)
{
    char *at = (char *)request_room(l, NUMBER_TEXT_SIZE + 4);
    l->request_len += (size_t)sprintf(at, "%c%zu\r\n", kind, count);
}

static void say_word(struct lane *l, const char *word)
{
    size_t len = model_text_bytes(word);
    say_count(l, '$', len);
    uint8_t *at = request_room(l, len + 2);
    for (; *word; word++) {
        size_t piece = *word == '#' ? FILL_BYTES : 1;
        memset(at, *word == '#' ? 'x' : *word, piece);
        at += piece;
    }
    memcpy(at, "\r\n", 2);
    l->request_len += len + 2;
}

void lane_say_words(struct lane *l, const char *const *words, unsigned count)
{
    say_count(l, '*', count);
    for (unsigned i = 0; i < count; i++)
        say_word(l, words[i]);
}

void lane_say(struct lane *l, const char *word, ...)
{
    const char *words[16];
    unsigned count = 0;
    va_list args;
    va_start(args, word);
    for (; word; word = va_arg(args, const char *)) {
        CHECK(count < count_of(words));
        words[count++] = word;
    }
    va_end(args);
    lane_say_words(l, words, count);
}

static void lane_clock(struct lane *l)
{
    struct worker *w = test_worker(l->race->node, l->lcore);
    w->now_us = clock_now_us();
    w->now_ms = clock_wall_refresh_ms();
    w->ks->now_ms = w->now_ms;
}

void lane_ask(struct lane *l)
{
    size_t len;
    CHECK(!lane_reply_left(l));
    test_stream_push(l->client->stream, l->request, l->request_len);
    l->request_len = 0;
    lane_clock(l);
    while (test_lcore_run(l->race->node, l->lcore) || test_is_waiting(l->client)) {
    }
    free(l->replies);
    l->replies = test_stream_take(l->client->stream, &len);
    l->reply_at = l->replies;
    l->replies_end = l->replies + len;
}

/* ---- replies ---- */

bool lane_reply_left(const struct lane *l)
{
    return l->reply_at != l->replies_end;
}

/* A run of other than FILL_BYTES letters x is half of a value: "?<length>". */
static void shorten_bulk(struct model_reply *r, const char *text, size_t len)
{
    model_reply_add(r, "$");
    for (size_t i = 0; i < len;) {
        size_t run = 0;
        while (i + run < len && text[i + run] == 'x')
            run++;
        if (run == 0)
            model_reply_add(r, "%c", text[i]);
        else if (run % FILL_BYTES == 0)
            model_reply_add(r, "%.*s", (int)(run / FILL_BYTES), "########");
        else
            model_reply_add(r, "?%zu", run);
        i += run ? run : 1;
    }
    model_reply_add(r, "\n");
}

/* One element; how many more belong to it. */
static size_t shorten_element(struct lane *l)
{
    const char *line = l->reply_at;
    const char *end = memmem(line, (size_t)(l->replies_end - line), "\r\n", 2);
    CHECK(end);
    int len = (int)(end - line);
    l->reply_at = end + 2;
    if (*line == '$' && line[1] != '-') {
        size_t bulk_len = strtoul(line + 1, NULL, 10);
        CHECK(bulk_len + 2 <= (size_t)(l->replies_end - l->reply_at));
        shorten_bulk(&l->reply, l->reply_at, bulk_len);
        l->reply_at += bulk_len + 2;
    } else if (strncmp(line, "$-1", 3) == 0 || strncmp(line, "*-1", 3) == 0) {
        model_reply_add(&l->reply, "_\n");
    } else {
        model_reply_add(&l->reply, "%.*s\n", len, line);
    }
    return *line == '*' && line[1] != '-' ? strtoul(line + 1, NULL, 10) : 0;
}

const char *lane_reply(struct lane *l)
{
    model_reply_begin(&l->reply);
    for (size_t left = 1; left > 0; left--)
        left += shorten_element(l);
    return l->reply.text;
}

/* ---- operations ---- */

static void say_command(struct lane *l, const struct command_call *c)
{
    char names[COMMAND_KEYS_MAX][NAME_MAX_BYTES];
    const char *words[2 * COMMAND_KEYS_MAX + 3];
    unsigned n = 0;
    bool stores = (c->kind >= SET && c->kind <= MSETNX) || c->kind == APPEND;
    words[n++] = command_kind_name(c->kind);
    for (unsigned i = 0; i < c->key_count; i++) {
        lane_name(l, names[i], "k", c->keys[i]);
        words[n++] = names[i];
        if (stores)
            words[n++] = c->values[i];
    }
    if (c->kind == SET_PX) {
        words[n++] = "PX";
        words[n++] = "1";
    }
    if (c->kind == COPY_REPLACE)
        words[n++] = "REPLACE";
    lane_say_words(l, words, n);
}

static void say_operation(struct lane *l, const struct operation *o)
{
    if (o->exec)
        lane_say(l, "MULTI", NULL);
    for (unsigned i = 0; i < o->command_count; i++)
        say_command(l, &o->commands[i]);
    if (o->exec)
        lane_say(l, "EXEC", NULL);
}

static void take_operation(struct lane *l, struct operation *o)
{
    if (o->exec)
        CHECK(strcmp(lane_reply(l), "+OK\n") == 0);
    for (unsigned i = 0; o->exec && i < o->command_count; i++)
        CHECK(strcmp(lane_reply(l), "+QUEUED\n") == 0);
    strcpy(o->reply, lane_reply(l));
}

uint64_t lane_now_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void lane_do(struct lane *l, struct operation *o, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        say_operation(l, &o[i]);
    uint64_t began_ns = lane_now_ns();
    lane_ask(l);
    uint64_t ended_ns = lane_now_ns();
    for (unsigned i = 0; i < count; i++) {
        take_operation(l, &o[i]);
        o[i].began_ns = began_ns;
        o[i].ended_ns = ended_ns;
    }
    CHECK(!lane_reply_left(l));
}

/* ---- churn ---- */

#define WAVE 600 /* keys per slot */
#define CHURN_BURST 16

void lane_churn(struct lane *l)
{
    char name[NAME_MAX_BYTES];
    unsigned wave = WAVE * l->race->places.tag_count;
    for (unsigned i = 0; !atomic_load(&l->race->over);) {
        for (unsigned n = 0; n < CHURN_BURST; n++, i++) {
            bool up = i / wave % 2 == 0;
            lane_name(l, name, "churn", i % wave);
            if (!up)
                lane_say(l, "DEL", name, NULL);
            else if (rng_below(&l->rng, 10) == 0)
                lane_say(l, "SET", name, "1", "PX", "1", NULL);
            else
                lane_say(l, "SET", name, "1", NULL);
        }
        lane_ask(l);
        while (lane_reply_left(l))
            lane_reply(l);
        ks_expire_cycle(l->disturb.ks, 8);
        disturb_soon(&l->disturb, &l->noise, 200);
        qsbr_offline();
        disturb_sleep_us(rng_below(&l->noise, 100));
        qsbr_online();
    }
}
