/* INFO: which sections, in which order; a job, a section or a piece of one at a time. */
#include "info.h"
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "job.h"

enum info_set { INFO_DEFAULT = 1, INFO_ALL = 2, INFO_EVERYTHING = 4 };

static const struct info_section {
    const char *name, *title;
    void (*write)(const struct worker *w, struct text *t);
    bool (*write_some)(const struct worker *w, struct text *t, struct info_place *at);
    unsigned sets; /* enum info_set */
} sections[] = {
    {"server", "Server", info_server, NULL, INFO_DEFAULT | INFO_ALL},
    {"clients", "Clients", info_clients, NULL, INFO_DEFAULT | INFO_ALL},
    {"memory", "Memory", info_memory, NULL, INFO_DEFAULT | INFO_ALL},
    {"persistence", "Persistence", info_persistence, NULL, INFO_DEFAULT | INFO_ALL},
    {"stats", "Stats", info_stats, NULL, INFO_DEFAULT | INFO_ALL},
    {"replication", "Replication", info_replication, NULL, INFO_DEFAULT | INFO_ALL},
    {"cpu", "CPU", info_cpu, NULL, INFO_DEFAULT | INFO_ALL},
    {"modules", "Modules", info_modules, NULL, INFO_DEFAULT | INFO_ALL},
    {"commandstats", "Commandstats", NULL, info_commandstats, INFO_ALL},
    {"errorstats", "Errorstats", info_errorstats, NULL, INFO_DEFAULT | INFO_ALL},
    {"latencystats", "Latencystats", NULL, info_latencystats, INFO_ALL},
    {"cluster", "Cluster", info_cluster, NULL, INFO_DEFAULT | INFO_ALL},
    {"keyspace", "Keyspace", info_keyspace, NULL, INFO_DEFAULT | INFO_ALL},
    {"slotwire", "Slotwire", NULL, info_slotwire, INFO_EVERYTHING},
};

struct info_job {
    struct job job;
    struct text text;
    uint32_t wanted; /* a bit per section that is still to be written */
    bool begun;      /* the first of them has its title */
    struct info_place at;
};

static bool section_wanted(const struct call *c, const struct info_section *s)
{
    if (c->argc == 1)
        return s->sets & INFO_DEFAULT;
    for (uint32_t i = 1; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (slice_equal_word(word, s->name) || slice_equal_word(word, "everything") ||
            (slice_equal_word(word, "default") && (s->sets & INFO_DEFAULT)) ||
            (slice_equal_word(word, "all") && (s->sets & INFO_ALL)))
            return true;
    }
    return false;
}

/* True: the section is complete. */
static bool section_write(struct info_job *i, const struct info_section *s)
{
    struct text *t = &i->text;
    if (!i->begun)
        text_printf(t, "%s# %s\r\n", t->len > 0 ? "\r\n" : "", s->title);
    i->begun = true;
    if (s->write_some)
        return s->write_some(i->job.worker, t, &i->at);
    s->write(i->job.worker, t);
    return true;
}

static bool info_step(struct job *j)
{
    struct info_job *i = container_from(j, struct info_job, job);
    if (i->wanted) {
        if (!section_write(i, &sections[__builtin_ctz(i->wanted)]))
            return false;
        i->wanted &= i->wanted - 1;
        i->begun = false;
        i->at = (struct info_place){0};
    }
    if (i->wanted)
        return false;
    text_reply(&i->text, j->reply);
    return true;
}

static void info_free(struct job *j)
{
    struct info_job *i = container_from(j, struct info_job, job);
    free(i->text.data);
    free(i);
}

void cmd_info(struct call *c)
{
    struct info_job *i = calloc(1, sizeof(*i));
    CHECK(i);
    for (unsigned s = 0; s < count_of(sections); s++)
        i->wanted |= (uint32_t)section_wanted(c, &sections[s]) << s;
    i->job.step = info_step;
    i->job.free = info_free;
    job_start(c, &i->job);
}
