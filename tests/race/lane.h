/* An lcore on a thread of its own with one client, and what all tests with such threads need.
 * Owner: the lane's thread between lane_begin() and lane_end(). */
#pragma once
#include <pthread.h>
#include "disturb.h"
#include "model.h"
#include "rng.h"
#include "test_node.h"

#define LANES_MAX 4
#define TAGS_MAX 4

/* Which slots the keys lie in: key i is "{tag}k<i>" with the tags taken in turn. */
struct places {
    unsigned tag_count; /* 1: all in one slot */
    const char *tags[TAGS_MAX];
};

/* What all lanes of one run share. */
struct race {
    struct test_node *node;
    struct places places;
    bool one_cpu;
    uint16_t slots[TAGS_MAX];
    _Atomic(bool) over; /* for lanes that run until the others have finished */
};

struct lane {
    pthread_t thread;
    struct race *race;
    unsigned lcore;
    struct rng rng; /* of choices: the seed alone decides them */
    struct rng noise;
    struct disturb disturb;
    struct test_client *client;
    uint8_t *request;
    size_t request_len, request_size;
    char *replies; /* to the last request */
    const char *reply_at, *replies_end;
    struct model_reply reply; /* the last one taken */
};

/* A node with lane_count lcores and a client on each; run is called on each lane's thread, arg is
 * its lane. Returns when all have returned; the node is taken down, which checks that nothing is
 * left over. */
struct race_plan {
    struct places places;
    bool one_cpu;
    unsigned lane_count;
    uint64_t seed;
    void (*run)(struct lane *l, void *arg);
    void *arg;
};
/* hits: the sum over all lanes. */
void race_run(const struct race_plan *plan, struct disturb_counts *hits);

/* "{tag}kind<number>" with the tag of number. */
#define NAME_MAX_BYTES 32
void lane_name(const struct lane *l, char *name, const char *kind, unsigned number);
/* Adds a request of words, up to NULL. Values are in short form (model.h). */
void lane_say(struct lane *l, const char *word, ...) __attribute__((sentinel));
void lane_say_words(struct lane *l, const char *const *words, unsigned count);
/* Sends what was said and runs the lcore until all is answered. */
void lane_ask(struct lane *l);
/* Takes the next reply, in short form; valid until the next call. */
const char *lane_reply(struct lane *l);
bool lane_reply_left(const struct lane *l);

/* The same clock on all CPUs, and no fence between a thread's operations, as a locked counter would
 * be. */
uint64_t lane_now_ns(void);
/* Says, asks and takes for each operation; all in one burst. The times are those of the burst. */
void lane_do(struct lane *l, struct operation *o, unsigned count);

/* Keys of the same slots come and go in waves until race->over, so that indexes grow and shrink;
 * some expire. */
void lane_churn(struct lane *l);
