/* The clients of the load generator: each keeps one pipeline of commands in flight, and measures
 * from its first byte queued to its last reply. Owner: the generator's lcore. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "histogram.h"
#include "ip_addr.h"
#include "reply_count.h"
#include "rng.h"
#include "tcp.h"

enum load_command { LOAD_GET, LOAD_SET, LOAD_PING };

struct load_plan {
    enum load_command command;
    unsigned pipeline; /* 1 … 1024 commands in flight per connection */
    unsigned keys;     /* "key:0000000" …, chosen at random; with fill each once, in order */
    unsigned value_bytes;
    bool fill; /* SET every key once, then finish */
    bool hold; /* open, send nothing */
};

struct load_client;

struct load {
    struct load_plan plan;
    struct rng rng;
    struct load_client *clients;
    unsigned client_count, client_max, connected, broken;
    uint64_t now_us, start_us, stop_us;
    uint64_t filled;  /* keys set so far */
    unsigned resting; /* clients that have nothing left to do */
    bool running;
    struct reply_count counted; /* sums over all clients */
    uint64_t replies;
    struct histogram latency_us;
    uint8_t *value;
};

bool load_plan_valid(const struct load_plan *plan);
bool load_init(struct load *l, const struct load_plan *plan, unsigned clients);
/* Opens one connection; false: not now. */
bool load_client_open(struct load *l, struct tcp *tcp, const struct ip_addr *server, uint16_t port);
/* All clients begin; the clock of the result starts. */
void load_start(struct load *l);
void load_stop(struct load *l);
bool load_finished(const struct load *l); /* fill: every key was answered */
void load_print(const struct load *l);
