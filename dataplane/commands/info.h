/* INFO's sections: each writes its lines into a text. Counters are summed over the lcores, whose
 * own values change meanwhile: a section is not one instant. */
#pragma once
#include "allocator.h"
#include "command.h"
#include "introspect.h"
#include "text.h"

void info_server(const struct worker *w, struct text *t);
void info_clients(const struct worker *w, struct text *t);
void info_memory(const struct worker *w, struct text *t);
void info_persistence(const struct worker *w, struct text *t);
void info_stats(const struct worker *w, struct text *t);
void info_replication(const struct worker *w, struct text *t);
void info_cpu(const struct worker *w, struct text *t);
void info_modules(const struct worker *w, struct text *t);
void info_errorstats(const struct worker *w, struct text *t);
void info_cluster(const struct worker *w, struct text *t);
void info_keyspace(const struct worker *w, struct text *t);

/* Those with a line per command or lcore go in pieces of some 20 us. at is all zero for the first;
 * true: that was the last. */
struct info_place {
    struct command_walk walk;
    unsigned lcore;
    bool last;
};
bool info_commandstats(const struct worker *w, struct text *t, struct info_place *at);
bool info_latencystats(const struct worker *w, struct text *t, struct info_place *at);
/* Of our own: cycles per stage and what each lcore did. */
bool info_slotwire(const struct worker *w, struct text *t, struct info_place *at);

/* What INFO memory and MEMORY STATS say alike. */
struct memory_view {
    struct allocator_stats heap; /* used: what the allocator has given out */
    uint64_t data;               /* keys, values and indexes: what maxmemory limits */
    uint64_t retired;            /* waits for readers; no longer counted by maxmemory */
    uint64_t overhead;           /* what is used besides the data and retired memory */
};
void memory_view_read(const struct worker *w, struct memory_view *out);
