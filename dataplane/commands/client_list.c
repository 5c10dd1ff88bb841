/* CLIENT INFO, LIST and KILL: every lcore is asked for its own clients. */
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "gather.h"
#include "numbers.h"
#include "session.h"

/* ---- which clients ---- */

enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_REPLICA, TYPE_MASTER };

struct client_filter {
    enum client_type type;
    uint64_t *ids; /* allocated; NULL: any */
    uint32_t id_count;
    char *peer, *local; /* allocated; NULL: any */
    uint64_t skip;      /* id that is left out; 0: none */
};

static void filter_free(struct client_filter *f)
{
    free(f->ids);
    free(f->peer);
    free(f->local);
}

static bool type_parse(struct call *c, struct slice word, enum client_type *type)
{
    static const struct {
        const char *name;
        enum client_type type;
    } types[] = {{"normal", TYPE_NORMAL},
                 {"pubsub", TYPE_PUBSUB},
                 {"slave", TYPE_REPLICA},
                 {"replica", TYPE_REPLICA},
                 {"master", TYPE_MASTER}};
    for (size_t i = 0; i < count_of(types); i++) {
        if (slice_equal_word(word, types[i].name)) {
            *type = types[i].type;
            return true;
        }
    }
    reply_errorf(c->reply, "ERR Unknown client type '%.*s'", word.len < 128 ? (int)word.len : 128,
                 (const char *)word.data);
    return false;
}

static bool type_matches(enum client_type type, const struct session *s)
{
    bool pubsub = session_class(s) == CLIENT_PUBSUB;
    return type == TYPE_ANY || (type == TYPE_PUBSUB && pubsub) || (type == TYPE_NORMAL && !pubsub);
}

static bool address_matches(const struct session *s, const char *want,
                            void (*name)(const struct stream *s, char *buf))
{
    char text[STREAM_NAME_SIZE] = "";
    if (!want)
        return true;
    name(s->stream, text);
    return strcmp(text, want) == 0;
}

static bool filter_matches(const struct client_filter *f, const struct session *s)
{
    if (!s->stream || s->id == f->skip || !type_matches(f->type, s))
        return false;
    bool listed = !f->ids;
    for (uint32_t i = 0; !listed && i < f->id_count; i++)
        listed = f->ids[i] == s->id;
    return listed && address_matches(s, f->peer, s->stream->ops->name_peer) &&
           address_matches(s, f->local, s->stream->ops->name_local);
}

/* With several lcores the answer needs mail, which EXEC cannot wait for. */
static bool may_gather(struct call *c)
{
    if (!c->in_exec || c->worker->node->lcore_count == 1)
        return true;
    reply_error(c->reply, "ERR Command not allowed inside a transaction");
    return false;
}

/* ---- LIST ---- */

struct list_gather {
    struct gather gather;
    struct client_filter filter;
    char *text; /* a line per client */
    size_t len, size;
};

static void list_each(struct gather *g, struct session *s)
{
    struct list_gather *l = container_from(g, struct list_gather, gather);
    if (!filter_matches(&l->filter, s))
        return;
    char *line = session_describe(s);
    size_t len = strlen(line);
    if (l->len + len + 1 > l->size) {
        l->size = (l->len + len + 1) * 2;
        l->text = realloc(l->text, l->size);
        CHECK(l->text);
    }
    memcpy(l->text + l->len, line, len);
    l->text[l->len + len] = '\n';
    l->len += len + 1;
    free(line);
}

static void list_reply(struct gather *g, struct session *s)
{
    struct list_gather *l = container_from(g, struct list_gather, gather);
    struct slice text = slice_from(l->text, l->len);
    if (s->reply.protocol > 2) {
        reply_verbatim(&s->reply, text);
        return;
    }
    reply_bulk_ref(&s->reply, text, free, l->text);
    l->text = NULL;
}

static void list_free(struct gather *g)
{
    struct list_gather *l = container_from(g, struct list_gather, gather);
    free(l->text);
    filter_free(&l->filter);
    free(l);
}

static bool list_parse_ids(struct call *c, struct client_filter *f)
{
    f->ids = malloc((c->argc - 3) * sizeof(*f->ids));
    CHECK(f->ids);
    for (uint32_t i = 3; i < c->argc; i++) {
        int64_t id;
        if (!parse_i64(c->argv[i], &id)) {
            reply_error(c->reply, "ERR Invalid client ID");
            return false;
        }
        f->ids[f->id_count++] = (uint64_t)id;
    }
    return true;
}

static bool list_parse(struct call *c, struct client_filter *f)
{
    if (c->argc == 4 && slice_equal_word(c->argv[2], "type"))
        return type_parse(c, c->argv[3], &f->type);
    if (c->argc > 3 && slice_equal_word(c->argv[2], "id"))
        return list_parse_ids(c, f);
    if (c->argc == 2)
        return true;
    reply_error(c->reply, REPLY_SYNTAX);
    return false;
}

void cmd_client_list(struct call *c)
{
    struct client_filter filter = {0};
    if (!list_parse(c, &filter) || !may_gather(c)) {
        filter_free(&filter);
        return;
    }
    struct list_gather *l = calloc(1, sizeof(*l));
    CHECK(l);
    l->gather = (struct gather){.each = list_each, .reply = list_reply, .free = list_free};
    l->filter = filter;
    gather_start(&l->gather, c->session, c->in_exec);
}

void cmd_client_info(struct call *c)
{
    char *text = session_describe(c->session);
    size_t len = strlen(text);
    text[len] = '\n'; /* the line's end takes the place of its NUL */
    reply_verbatim(c->reply, slice_from(text, len + 1));
    free(text);
}

/* ---- KILL ---- */

struct kill_gather {
    struct gather gather;
    struct client_filter filter;
    uint64_t killed;
    bool old_form, killed_self;
};

static void kill_each(struct gather *g, struct session *s)
{
    struct kill_gather *k = container_from(g, struct kill_gather, gather);
    if (!filter_matches(&k->filter, s))
        return;
    k->killed++;
    if (s->worker == g->home && s->id == g->session_id)
        k->killed_self = true; /* after its reply */
    else
        session_close(s, true); /* in order: a lost RST would leave the other side waiting for ever */
}

static void kill_reply(struct gather *g, struct session *s)
{
    struct kill_gather *k = container_from(g, struct kill_gather, gather);
    if (!k->old_form)
        reply_i64(&s->reply, (int64_t)k->killed);
    else if (k->killed == 0)
        reply_error(&s->reply, "ERR No such client");
    else
        reply_ok(&s->reply);
    if (k->killed_self)
        session_close(s, true);
}

static void kill_free(struct gather *g)
{
    struct kill_gather *k = container_from(g, struct kill_gather, gather);
    filter_free(&k->filter);
    free(k);
}

static void text_set(char **to, struct slice from)
{
    free(*to);
    *to = malloc(from.len + 1);
    CHECK(*to);
    memcpy(*to, from.data, from.len);
    (*to)[from.len] = '\0';
}

static bool kill_parse_id(struct call *c, struct slice value, struct client_filter *f)
{
    int64_t id;
    if (!parse_i64(value, &id) || id < 1) {
        reply_error(c->reply, "ERR client-id should be greater than 0");
        return false;
    }
    free(f->ids);
    f->ids = malloc(sizeof(*f->ids));
    CHECK(f->ids);
    f->ids[0] = (uint64_t)id;
    f->id_count = 1;
    return true;
}

static bool kill_parse_user(struct call *c, struct slice value)
{
    if (slice_equal(value, slice_str("default")))
        return true; /* there is no other */
    reply_errorf(c->reply, "ERR No such user '%.*s'", value.len < 128 ? (int)value.len : 128,
                 (const char *)value.data);
    return false;
}

static bool kill_parse_option(struct call *c, struct slice name, struct slice value,
                              struct client_filter *f)
{
    if (slice_equal_word(name, "id"))
        return kill_parse_id(c, value, f);
    if (slice_equal_word(name, "type"))
        return type_parse(c, value, &f->type);
    if (slice_equal_word(name, "user"))
        return kill_parse_user(c, value);
    if (slice_equal_word(name, "addr")) {
        text_set(&f->peer, value);
        return true;
    }
    if (slice_equal_word(name, "laddr")) {
        text_set(&f->local, value);
        return true;
    }
    if (slice_equal_word(name, "skipme") && slice_equal_word(value, "yes")) {
        f->skip = c->session->id;
        return true;
    }
    if (slice_equal_word(name, "skipme") && slice_equal_word(value, "no")) {
        f->skip = 0;
        return true;
    }
    reply_error(c->reply, REPLY_SYNTAX);
    return false;
}

static bool kill_parse(struct call *c, struct client_filter *f)
{
    if (c->argc == 3) {
        text_set(&f->peer, c->argv[2]);
        return true;
    }
    f->skip = c->session->id;
    for (uint32_t i = 2; i < c->argc; i += 2) {
        if (i + 1 == c->argc) {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
        if (!kill_parse_option(c, c->argv[i], c->argv[i + 1], f))
            return false;
    }
    return true;
}

void cmd_client_kill(struct call *c)
{
    struct client_filter filter = {0};
    if (!kill_parse(c, &filter) || !may_gather(c)) {
        filter_free(&filter);
        return;
    }
    struct kill_gather *k = calloc(1, sizeof(*k));
    CHECK(k);
    k->gather = (struct gather){.each = kill_each, .reply = kill_reply, .free = kill_free};
    k->filter = filter;
    k->old_form = c->argc == 3;
    gather_start(&k->gather, c->session, c->in_exec);
}
