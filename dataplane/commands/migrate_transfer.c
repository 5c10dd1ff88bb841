/* MIGRATE's conversation: AUTH, SELECT, one RESTORE per key, all in one go; then the replies. */
#include <stdio.h>
#include <string.h>
#include "migrate.h"
#include "numbers.h"

static void on_event(void *user)
{
    struct migrate *m = user;
    m->deadline_us = m->job.worker->now_us + m->timeout_us;
    m->job.due_us = 0;
}

/* What was taken until now is still deleted here. */
static enum migrate_step fail(struct migrate *m, const char *text)
{
    m->phase = MIGRATE_TRANSFER;
    if (m->error[0] == '\0')
        snprintf(m->error, sizeof(m->error), "%s", text);
    migrate_transfer_end(m);
    return MIGRATE_NEXT;
}

void migrate_transfer_end(struct migrate *m)
{
    if (m->encoding)
        dump_payload_fini(&m->payload);
    m->encoding = false;
    if (m->link)
        migrate_link_close(m->link);
    m->link = NULL;
}

/* ---- connecting ---- */

enum migrate_step migrate_connect(struct migrate *m)
{
    uint64_t now_us = m->job.worker->now_us;
    if (!m->link) {
        if (m->has_address)
            m->link = migrate_link_open(m->job.worker, m->address, m->port, on_event, m);
        if (!m->link)
            return fail(m, "IOERR error or timeout connecting to the client");
        m->deadline_us = now_us + m->timeout_us;
    }
    if (!m->link->stream || (!m->link->connected && now_us >= m->deadline_us))
        return fail(m, "IOERR error or timeout connecting to the client");
    return m->link->connected ? MIGRATE_NEXT : MIGRATE_WAIT;
}

/* ---- sending ---- */

static void put_count(struct outbuf *out, char kind, uint64_t count)
{
    char text[NUMBER_TEXT_SIZE + 3];
    text[0] = kind;
    size_t len = 1 + format_u64(text + 1, count);
    text[len++] = '\r';
    text[len++] = '\n';
    outbuf_append(out, text, len);
}

static void put_word(struct outbuf *out, struct slice word)
{
    put_count(out, '$', word.len);
    outbuf_append(out, word.data, word.len);
    outbuf_append(out, "\r\n", 2);
}

static void put_number(struct outbuf *out, int64_t value)
{
    char text[NUMBER_TEXT_SIZE];
    put_word(out, slice_from(text, format_i64(text, value)));
}

static void send_greetings(struct migrate *m)
{
    struct outbuf *out = &m->link->stream->out;
    m->greetings_due = 0;
    if (m->password.data) {
        put_count(out, '*', m->user.data ? 3 : 2);
        put_word(out, slice_str("AUTH"));
        if (m->user.data)
            put_word(out, m->user);
        put_word(out, m->password);
        m->greetings_due++;
    }
    m->selects = m->link->database != m->database;
    if (m->selects) {
        put_count(out, '*', 2);
        put_word(out, slice_str("SELECT"));
        put_number(out, m->database);
        m->greetings_due++;
    }
    m->greeted = true;
}

/* Begins with keys[next], or finds that it is not there any more. */
static void encode_begin(struct migrate *m)
{
    struct ks *ks = m->job.ks;
    struct migrate_key *k = &m->keys[m->next];
    ks_claim_enter(ks, m->claim, m->job.worker->now_ms);
    const struct entry *e = ks_find(ks, &k->key, KS_READ_NO_STATS | KS_READ_NO_TOUCH);
    ks_claim_leave(ks);
    if (!e) {
        k->state = MIGRATE_KEY_ABSENT;
        m->next++;
        return;
    }
    /* The claim keeps the entry, and what it holds, as they are. */
    struct rdb_value value = rdb_value_of(e);
    m->expiry_ms = entry_expiry_ms(e);
    dump_payload_begin(&m->payload, &value, m->job.worker->config->rdb_compression);
    m->encoding = true;
}

static void send_restore(struct migrate *m)
{
    struct migrate_key *k = &m->keys[m->next];
    struct outbuf *out = &m->link->stream->out;
    int64_t ttl_ms = 0;
    if (m->expiry_ms != EXPIRY_NONE) {
        ttl_ms = m->expiry_ms - m->job.worker->now_ms;
        ttl_ms = ttl_ms < 1 ? 1 : ttl_ms;
    }
    bool asking = m->job.worker->node->cluster != NULL;
    put_count(out, '*', m->replace ? 5 : 4);
    put_word(out, slice_str(asking ? "RESTORE-ASKING" : "RESTORE"));
    put_word(out, k->key.name);
    put_number(out, ttl_ms);
    put_count(out, '$', m->payload.out.len);
    outbuf_splice(out, &m->payload.out);
    outbuf_append(out, "\r\n", 2);
    if (m->replace)
        put_word(out, slice_str("REPLACE"));
    dump_payload_fini(&m->payload);
    m->encoding = false;
    k->state = MIGRATE_KEY_SENT;
    m->next++;
}

/* A piece of sending; false: nothing to do now. */
static bool send_step(struct migrate *m)
{
    struct stream *s = m->link->stream;
    if (m->next == m->key_count || s->out.len >= MIGRATE_OUT_MAX)
        return false;
    /* The time that encoding takes is not the peer's. */
    m->deadline_us = m->job.worker->now_us + m->timeout_us;
    if (!m->greeted)
        send_greetings(m);
    if (!m->encoding)
        encode_begin(m);
    else if (dump_payload_step(&m->payload))
        send_restore(m);
    s->ops->kick(s);
    return true;
}

/* ---- reading ---- */

static void refused(struct migrate *m, const char *line)
{
    m->link->database = -1;
    if (m->error[0] == '\0')
        snprintf(m->error, sizeof(m->error), "ERR Target instance replied with error: %s",
                 line + 1);
}

/* Passes over keys that were not sent; false: no reply is due. */
static bool reply_due(struct migrate *m)
{
    while (m->reply_next < m->next && m->keys[m->reply_next].state == MIGRATE_KEY_ABSENT)
        m->reply_next++;
    return m->greetings_due > 0 || m->reply_next < m->next;
}

/* One reply. A greeting that was refused spoils all that follows. */
static void reply_take(struct migrate *m, const char *line)
{
    bool good = line[0] == '+';
    m->any_reply = true;
    if (!good)
        refused(m, line);
    if (m->greetings_due > 0) {
        m->greetings_due--;
        m->spoilt |= !good;
        return;
    }
    if (good && !m->spoilt)
        m->keys[m->reply_next].state = MIGRATE_KEY_TAKEN;
    m->reply_next++;
}

/* False: what the peer says is no reply. */
static bool read_replies(struct migrate *m)
{
    while (reply_due(m)) {
        switch (migrate_link_read(m->link)) {
        case MIGRATE_LINE_NONE:
            return true;
        case MIGRATE_LINE_READ:
            if (m->link->line[0] != '+' && m->link->line[0] != '-')
                return false;
            reply_take(m, m->link->line);
            break;
        default:
            return false;
        }
    }
    return true;
}

/* The link has ended, is silent, or talks nonsense. One that was kept from before may have been
 * stale: when nothing was answered on it yet, another try is made. */
static enum migrate_step link_failed(struct migrate *m, bool may_retry)
{
    bool writing = m->next < m->key_count || (m->link->stream && m->link->stream->out.len > 0);
    migrate_transfer_end(m);
    if (may_retry && !m->retried && !m->any_reply) {
        m->retried = true;
        m->greeted = m->spoilt = false;
        m->next = m->reply_next = 0;
        m->phase = MIGRATE_CONNECT;
        return MIGRATE_AGAIN;
    }
    return fail(m, writing ? "IOERR error or timeout writing to target instance"
                           : "IOERR error or timeout reading to target instance");
}

enum migrate_step migrate_transfer(struct migrate *m)
{
    if (!m->link->stream)
        return link_failed(m, true);
    if (!read_replies(m))
        return link_failed(m, false);
    if (m->next == m->key_count && !reply_due(m)) {
        if (m->error[0] == '\0')
            m->link->database = m->database;
        migrate_link_keep(m->link);
        m->link = NULL;
        return MIGRATE_NEXT;
    }
    if (send_step(m))
        return MIGRATE_AGAIN;
    return m->job.worker->now_us >= m->deadline_us ? link_failed(m, false) : MIGRATE_WAIT;
}
