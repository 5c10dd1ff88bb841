/* INFO's sections: each writes its lines into a text. Counters are summed over the lcores, whose
 * own values change meanwhile: a section is not one instant. */
#pragma once
#include "command.h"
#include "text.h"

void info_server(struct call *c, struct text *t);
void info_clients(struct call *c, struct text *t);
void info_memory(struct call *c, struct text *t);
void info_persistence(struct call *c, struct text *t);
void info_stats(struct call *c, struct text *t);
void info_replication(struct call *c, struct text *t);
void info_cpu(struct call *c, struct text *t);
void info_modules(struct call *c, struct text *t);
void info_commandstats(struct call *c, struct text *t);
void info_errorstats(struct call *c, struct text *t);
void info_latencystats(struct call *c, struct text *t);
void info_cluster(struct call *c, struct text *t);
void info_keyspace(struct call *c, struct text *t);
/* Of our own: cycles per stage and what each lcore did. */
void info_slotwire(struct call *c, struct text *t);

/* What INFO memory and MEMORY STATS say alike. */
struct memory_view {
    uint64_t used, peak; /* of the data: what maxmemory limits */
    uint64_t retired;
    uint64_t allocated, active, resident, process_resident, system_total;
};
void memory_view_read(struct call *c, struct memory_view *out);
