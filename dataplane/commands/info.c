/* INFO: which sections, in which order. */
#include "info.h"
#include "families.h"

enum info_set { INFO_DEFAULT = 1, INFO_ALL = 2, INFO_EVERYTHING = 4 };

static const struct info_section {
    const char *name, *title;
    void (*write)(struct call *c, struct text *t);
    unsigned sets; /* enum info_set */
} sections[] = {
    {"server", "Server", info_server, INFO_DEFAULT | INFO_ALL},
    {"clients", "Clients", info_clients, INFO_DEFAULT | INFO_ALL},
    {"memory", "Memory", info_memory, INFO_DEFAULT | INFO_ALL},
    {"persistence", "Persistence", info_persistence, INFO_DEFAULT | INFO_ALL},
    {"stats", "Stats", info_stats, INFO_DEFAULT | INFO_ALL},
    {"replication", "Replication", info_replication, INFO_DEFAULT | INFO_ALL},
    {"cpu", "CPU", info_cpu, INFO_DEFAULT | INFO_ALL},
    {"modules", "Modules", info_modules, INFO_DEFAULT | INFO_ALL},
    {"commandstats", "Commandstats", info_commandstats, INFO_ALL},
    {"errorstats", "Errorstats", info_errorstats, INFO_DEFAULT | INFO_ALL},
    {"latencystats", "Latencystats", info_latencystats, INFO_ALL},
    {"cluster", "Cluster", info_cluster, INFO_DEFAULT | INFO_ALL},
    {"keyspace", "Keyspace", info_keyspace, INFO_DEFAULT | INFO_ALL},
    {"slotwire", "Slotwire", info_slotwire, INFO_EVERYTHING},
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

void cmd_info(struct call *c)
{
    struct text t = {0};
    for (unsigned i = 0; i < count_of(sections); i++) {
        if (!section_wanted(c, &sections[i]))
            continue;
        text_printf(&t, "%s# %s\r\n", t.len > 0 ? "\r\n" : "", sections[i].title);
        sections[i].write(c, &t);
    }
    text_reply(&t, c->reply);
}
