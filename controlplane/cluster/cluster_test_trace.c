#include "cluster_test_trace.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define TEXT_MAX 160
#define BURST_MAX 96

struct line {
    uint64_t at_ms;
    char node;
    char text[TEXT_MAX];
};

struct lines {
    struct line *items;
    size_t count, size;
};

/* What was seen of a node last. */
struct shown {
    bool primary;
    uint64_t config_epoch, vote, saved;
    char replica_of[BUS_NAME_SIZE + 1];
    uint64_t paused_offset;
    bool paused, reserved;
    int rank;
};

/* A vote that left its voter. */
struct ack {
    unsigned voter, candidate;
    uint64_t epoch;
};

struct test_trace {
    struct test_net *net;
    struct lines lines;
    uint64_t start_ms, epoch;
    unsigned count;
    char names[TEST_NET_NODES_MAX];
    char ids[TEST_NET_NODES_MAX][BUS_NAME_SIZE + 1];
    struct shown shown[TEST_NET_NODES_MAX];
    /* Frames of one node at one time, by recipient; not yet lines. */
    unsigned burst_from;
    uint64_t burst_ms;
    char burst[TEST_NET_NODES_MAX][BURST_MAX];
    struct ack *acks;
    size_t ack_count;
    bool (*pass)(void *ctx, unsigned from, unsigned to, const struct bus_message *m);
    void *pass_ctx;
};

/* ---- lines ---- */

static void line_add(struct lines *lines, const struct line *line)
{
    if (lines->count == lines->size) {
        lines->size = lines->size ? lines->size * 2 : 64;
        lines->items = realloc(lines->items, lines->size * sizeof(*lines->items));
        CHECK(lines->items);
    }
    lines->items[lines->count++] = *line;
}

static uint64_t now_ms(const struct test_trace *trace)
{
    return test_net_now_ms(trace->net) - trace->start_ms;
}

static void say(struct test_trace *trace, unsigned node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct test_trace *trace, unsigned node, const char *format, ...)
{
    struct line line = {.at_ms = now_ms(trace), .node = trace->names[node]};
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof(line.text), format, args);
    va_end(args);
    line_add(&trace->lines, &line);
}

/* Recipients of the same frames share a line. FAIL alone is detection, not told here. */
static void burst_flush(struct test_trace *trace)
{
    for (unsigned i = 0; i < trace->count; i++) {
        struct line line = {.at_ms = trace->burst_ms, .node = trace->names[trace->burst_from]};
        char text[BURST_MAX], to[2 * TEST_NET_NODES_MAX + 1] = "";
        if (!trace->burst[i][0])
            continue;
        memcpy(text, trace->burst[i], sizeof(text));
        bool told = strstr(text, ", ") || strncmp(text, "fail ", 5) != 0;
        for (char name = '0'; name <= 'z'; name++)
            for (unsigned j = 0; j < trace->count; j++)
                if (trace->names[j] == name && strcmp(trace->burst[j], text) == 0) {
                    snprintf(to + strlen(to), 3, " %c", name);
                    trace->burst[j][0] = 0;
                }
        snprintf(line.text, sizeof(line.text), ">%s: %s", to, text);
        if (told)
            line_add(&trace->lines, &line);
    }
}

static void burst_add(struct test_trace *trace, unsigned from, unsigned to, const char *text)
{
    char *burst = trace->burst[to];
    trace->burst_from = from;
    trace->burst_ms = now_ms(trace);
    snprintf(burst + strlen(burst), BURST_MAX - strlen(burst), "%s%s", burst[0] ? ", " : "", text);
}

static char name_of(const struct test_trace *trace, const void *id)
{
    for (unsigned i = 0; i < trace->count; i++)
        if (memcmp(trace->ids[i], id, BUS_NAME_SIZE) == 0)
            return trace->names[i];
    return '?';
}

/* ---- what is seen ---- */

static void frame_text(struct test_trace *trace, const struct bus_message *m, char *text,
                       size_t size)
{
    const struct bus_header *h = &m->header;
    long long epoch = (long long)(h->current_epoch - trace->epoch);
    switch (h->type) {
    case BUS_FAIL:
        snprintf(text, size, "fail %c", name_of(trace, m->fail.name));
        break;
    case BUS_AUTH_REQUEST:
        snprintf(text, size, "auth-req %+lld%s", epoch,
                 h->mflags & BUS_MFLAG_FORCEACK ? " force" : "");
        break;
    case BUS_AUTH_ACK:
        snprintf(text, size, "auth-ack %+lld", epoch);
        break;
    case BUS_MFSTART:
        snprintf(text, size, "mfstart");
        break;
    default:
        text[0] = 0;
    }
}

static void header_see(struct test_trace *trace, unsigned from, const struct bus_header *h)
{
    struct shown *shown = &trace->shown[from];
    bool primary = !h->replica_of;
    bool same = primary == shown->primary;
    if (primary)
        same = same && h->config_epoch == shown->config_epoch;
    else
        same = same && memcmp(shown->replica_of, h->replica_of, BUS_NAME_SIZE) == 0;
    shown->primary = primary;
    shown->config_epoch = h->config_epoch;
    if (!primary)
        memcpy(shown->replica_of, h->replica_of, BUS_NAME_SIZE);
    if (same)
        return;
    if (primary)
        say(trace, from, "shows master %+lld", (long long)(h->config_epoch - trace->epoch));
    else
        say(trace, from, "shows replica of %c", name_of(trace, h->replica_of));
}

static void paused_see(struct test_trace *trace, unsigned from, const struct bus_header *h)
{
    struct shown *shown = &trace->shown[from];
    bool paused = h->mflags & BUS_MFLAG_PAUSED;
    /* What PAUSED shows is final. */
    CHECK(!paused || !shown->paused || shown->paused_offset == h->offset);
    if (paused && !shown->paused)
        say(trace, from, "shows paused");
    shown->paused = paused;
    shown->paused_offset = h->offset;
}

struct vars {
    unsigned long long current, vote;
};

static struct vars vars_of(struct slice text)
{
    static const char word[] = "vars ";
    struct vars vars = {0, 0};
    const char *at = NULL;
    for (size_t i = 0; i + sizeof(word) < text.len; i++)
        if (memcmp(text.data + i, word, sizeof(word) - 1) == 0)
            at = (const char *)text.data + i;
    char line[128] = "";
    CHECK(at);
    memcpy(line, at,
           (size_t)((const char *)text.data + text.len - at) < sizeof(line) - 1
               ? (size_t)((const char *)text.data + text.len - at)
               : sizeof(line) - 1);
    CHECK(sscanf(line, "vars currentEpoch %llu lastVoteEpoch %llu", &vars.current, &vars.vote) ==
          2);
    return vars;
}

/* Nobody asks in an epoch, or votes, that its disk does not have. */
static void durable_check(struct test_trace *trace, unsigned from, const struct bus_header *h)
{
    struct vars vars = vars_of(test_net_disk_text(trace->net, from));
    CHECK(h->type != BUS_AUTH_REQUEST || vars.current >= h->current_epoch);
    CHECK(h->type != BUS_AUTH_ACK || vars.vote >= h->current_epoch);
}

/* One vote per voter and epoch, over all that ever left, restarts or not. */
static void ack_see(struct test_trace *trace, unsigned from, unsigned to,
                    const struct bus_header *h)
{
    for (size_t i = 0; i < trace->ack_count; i++)
        if (trace->acks[i].voter == from && trace->acks[i].epoch == h->current_epoch)
            CHECK(trace->acks[i].candidate == to);
    trace->acks = realloc(trace->acks, (trace->ack_count + 1) * sizeof(*trace->acks));
    CHECK(trace->acks);
    trace->acks[trace->ack_count++] = (struct ack){from, to, h->current_epoch};
}

static bool frame_see(void *ctx, unsigned from, unsigned to, const struct bus_message *m)
{
    struct test_trace *trace = ctx;
    char text[BURST_MAX / 3];
    if (from != trace->burst_from || now_ms(trace) != trace->burst_ms)
        burst_flush(trace);
    if (!m->light) {
        header_see(trace, from, &m->header);
        paused_see(trace, from, &m->header);
    }
    if (m->header.type == BUS_AUTH_ACK)
        ack_see(trace, from, to, &m->header);
    if (m->header.type == BUS_AUTH_ACK || m->header.type == BUS_AUTH_REQUEST)
        durable_check(trace, from, &m->header);
    frame_text(trace, m, text, sizeof(text));
    if (text[0])
        burst_add(trace, from, to, text);
    return !trace->pass || trace->pass(trace->pass_ctx, from, to, m);
}

static void persist_see(struct test_trace *trace, unsigned node,
                        const struct cluster_action *action)
{
    struct shown *shown = &trace->shown[node];
    struct vars vars = vars_of(slice_from(action->persist.text, action->persist.len));
    if (vars.vote != shown->vote)
        say(trace, node, "persists vote %+lld", (long long)(vars.vote - trace->epoch));
    if (vars.current != shown->saved && !shown->reserved &&
        vars.current > cluster_current_epoch(test_net_node(trace->net, node))) {
        say(trace, node, "reserves %+lld", (long long)(vars.current - trace->epoch));
        shown->reserved = true;
    }
    shown->saved = vars.current;
    shown->vote = vars.vote;
}

/* A log line that begins so is told in other words; %c: the first node id in it. */
static const struct {
    const char *log, *words;
} log_words[] = {
    {"Failover election won", "wins"},
    {"Failover attempt expired", "expires"},
    {"The master is back", "ends: the master is back"},
    {"Manual failover timed out", "times out"},
    {"Taking over the master", "takes over"},
    {"Migrating to orphaned master ", "migrates to %c"},
    {"WARNING: configEpoch collision with node ", "moves on, as %c has its epoch"},
    {"Currently unable to failover: ", NULL}, /* as it is */
};

static bool is_id(const char *text)
{
    size_t len = strspn(text, "0123456789abcdef");
    return len == BUS_NAME_SIZE;
}

static char first_name(struct test_trace *trace, const char *text)
{
    for (; *text; text++)
        if (is_id(text))
            return name_of(trace, text);
    return '?';
}

static void log_see(struct test_trace *trace, unsigned node, const char *text)
{
    const char *reason = strstr(text, ": ");
    if (strncmp(text, "Failover auth denied to ", 24) == 0 && reason) {
        say(trace, node, "denies %c%s", first_name(trace, text), reason);
        return;
    }
    if (strncmp(text, "Start of election delayed", 25) == 0) {
        const char *hash = strstr(text, "#");
        int rank = hash ? atoi(hash + 1) : -1;
        if (rank > 0 && rank != trace->shown[node].rank)
            say(trace, node, "waits, rank %d", rank);
        trace->shown[node].rank = rank;
        return;
    }
    for (size_t i = 0; i < count_of(log_words); i++) {
        if (strncmp(text, log_words[i].log, strlen(log_words[i].log)) != 0)
            continue;
        const char *words = log_words[i].words;
        if (!words)
            say(trace, node, "cannot: %s", text + strlen(log_words[i].log));
        else if (strstr(words, "%c"))
            say(trace, node, "%.*s%c%s", (int)(strstr(words, "%c") - words), words,
                first_name(trace, text), strstr(words, "%c") + 2);
        else
            say(trace, node, "%s", words);
    }
}

/* Lcores write again only when they know whether they may. */
static void unpause_see(struct test_trace *trace, unsigned node)
{
    CHECK(cluster_is_primary(test_net_node(trace->net, node)) ==
          test_net_view(trace->net, node)->primary);
    say(trace, node, "unpauses");
}

static void action_see(void *ctx, unsigned node, const struct cluster_action *action)
{
    struct test_trace *trace = ctx;
    if (action->kind == CLUSTER_ACTION_SEND)
        return;
    burst_flush(trace);
    if (action->kind == CLUSTER_ACTION_PERSIST)
        persist_see(trace, node, action);
    else if (action->kind == CLUSTER_ACTION_LOG)
        log_see(trace, node, action->log.text);
    else if (action->kind == CLUSTER_ACTION_PAUSE)
        say(trace, node, "pauses");
    else if (action->kind == CLUSTER_ACTION_UNPAUSE)
        unpause_see(trace, node);
    else if (action->kind == CLUSTER_ACTION_REPLICATE)
        say(trace, node, "follows %c", name_of(trace, action->replicate.id));
    else if (action->kind == CLUSTER_ACTION_REPLICATE_STOP)
        say(trace, node, "follows nobody");
}

/* ---- outside ---- */

struct test_trace *trace_new(struct test_net *net, unsigned count)
{
    struct test_trace *trace = calloc(1, sizeof(*trace));
    CHECK(trace && count <= TEST_NET_NODES_MAX);
    trace->net = net;
    trace->count = count;
    for (unsigned i = 0; i < count; i++) {
        trace->names[i] = (char)(i < 10 ? '0' + i : 'a' + i - 10);
        memcpy(trace->ids[i], cluster_self_id(test_net_node(net, i)), BUS_NAME_SIZE);
    }
    test_net_watch(net, frame_see, trace);
    test_net_watch_actions(net, action_see, trace);
    return trace;
}

void trace_free(struct test_trace *trace)
{
    free(trace->lines.items);
    free(trace->acks);
    free(trace);
}

void trace_name(struct test_trace *trace, unsigned node, char name)
{
    trace->names[node] = name;
}

void trace_filter(struct test_trace *trace,
                  bool (*pass)(void *ctx, unsigned from, unsigned to, const struct bus_message *m),
                  void *ctx)
{
    trace->pass = pass;
    trace->pass_ctx = ctx;
}

void trace_begin(struct test_trace *trace)
{
    burst_flush(trace);
    trace->lines.count = 0;
    trace->start_ms = test_net_now_ms(trace->net);
    trace->epoch = 0;
    for (unsigned i = 0; i < trace->count; i++) {
        trace->shown[i].rank = 0;
        trace->shown[i].reserved = false;
        if (test_net_running(trace->net, i) &&
            cluster_current_epoch(test_net_node(trace->net, i)) > trace->epoch)
            trace->epoch = cluster_current_epoch(test_net_node(trace->net, i));
    }
}

uint64_t trace_epoch(const struct test_trace *trace)
{
    return trace->epoch;
}

static void lines_parse(struct lines *lines, const char *text)
{
    while (*text) {
        struct line line;
        unsigned long long at_ms;
        int taken = 0;
        CHECK(sscanf(text, " [%llu] %c %n", &at_ms, &line.node, &taken) == 2 && taken > 0);
        text += taken;
        size_t len = strcspn(text, "\n");
        CHECK(len < sizeof(line.text));
        memcpy(line.text, text, len);
        line.text[len] = 0;
        line.at_ms = at_ms;
        line_add(lines, &line);
        text += len + (text[len] != 0);
    }
}

static void lines_keep(struct lines *lines, const char *nodes)
{
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++)
        if (!nodes || strchr(nodes, lines->items[i].node))
            lines->items[kept++] = lines->items[i];
    lines->count = kept;
}

static bool line_fits(const struct line *a, const struct line *b)
{
    uint64_t apart_ms = a->at_ms > b->at_ms ? a->at_ms - b->at_ms : b->at_ms - a->at_ms;
    return a->node == b->node && strcmp(a->text, b->text) == 0 && apart_ms <= TRACE_SLACK_MS;
}

/* The next line of the node from i on; count: none. */
static size_t line_of(const struct lines *lines, size_t i, char node)
{
    while (i < lines->count && lines->items[i].node != node)
        i++;
    return i;
}

static bool node_fits(const struct lines *a, const struct lines *b, char node)
{
    size_t i = line_of(a, 0, node), j = line_of(b, 0, node);
    while (i < a->count && j < b->count) {
        if (!line_fits(&a->items[i], &b->items[j]))
            return false;
        i = line_of(a, i + 1, node);
        j = line_of(b, j + 1, node);
    }
    return i == a->count && j == b->count;
}

static void lines_rebase(struct lines *lines)
{
    uint64_t first_ms = lines->count > 0 ? lines->items[0].at_ms : 0;
    for (size_t i = 0; i < lines->count; i++)
        lines->items[i].at_ms -= first_ms;
}

static void lines_print(const char *what, const struct lines *lines)
{
    printf("%s:\n", what);
    for (size_t i = 0; i < lines->count; i++)
        printf("[%4llu] %c %s\n", (unsigned long long)lines->items[i].at_ms, lines->items[i].node,
               lines->items[i].text);
}

bool trace_is(struct test_trace *trace, const char *nodes, const char *expected)
{
    struct lines wanted = {NULL, 0, 0};
    bool fits = true;
    burst_flush(trace);
    lines_keep(&trace->lines, nodes);
    lines_rebase(&trace->lines);
    lines_parse(&wanted, expected);
    for (char node = '0'; node <= 'z'; node++)
        fits = fits && node_fits(&wanted, &trace->lines, node);
    if (!fits) {
        lines_print("expected", &wanted);
        lines_print("was", &trace->lines);
    }
    free(wanted.items);
    return fits;
}
