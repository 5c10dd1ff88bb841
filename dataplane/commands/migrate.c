#include "migrate.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "aggregate.h"
#include "check.h"
#include "families.h"
#include "session.h"

#define KEYS_PER_STEP 64
#define SLOTS_PER_STEP 64
#define GRACE_POLL_US 100
#define TIMEOUT_DEFAULT_MS 1000
#define ADDRESS_TEXT_SIZE 64

/* ---- life ---- */

static void migrate_free(struct migrate *m)
{
    migrate_transfer_end(m);
    if (m->granted)
        ks_claim_release(m->job.ks, m->claim);
    claim_free(m->claim);
    free(m->keys);
    free(m->block);
    free(m);
}

static void job_free(struct job *j)
{
    struct migrate *m = container_from(j, struct migrate, job);
    /* Only when the node ends: nobody is in a grace period's way for long. */
    while (m->grace && !qsbr_grace_passed(m->grace))
        qsbr_quiescent();
    if (m->grace)
        qsbr_grace_free(m->grace);
    migrate_free(m);
}

/* ---- phases ---- */

static enum migrate_step look(struct migrate *m)
{
    struct ks *ks = m->job.ks;
    uint32_t end = m->key_count - m->next < KEYS_PER_STEP ? m->key_count : m->next + KEYS_PER_STEP;
    ks_claim_enter(ks, m->claim, m->job.worker->now_ms);
    for (; m->next < end; m->next++)
        m->found += ks_find(ks, &m->keys[m->next].key, 0) != NULL;
    ks_claim_leave(ks);
    if (m->next < m->key_count)
        return MIGRATE_AGAIN;
    m->next = 0;
    if (m->found == 0)
        m->phase = MIGRATE_FORGET; /* there is nothing to do but to say so */
    return MIGRATE_NEXT;
}

static enum migrate_step settle(struct migrate *m)
{
    if (!m->job.worker->node->cluster || m->copy)
        return MIGRATE_NEXT;
    if (!m->grace)
        m->grace = qsbr_grace_begin();
    if (!m->grace || !qsbr_grace_passed(m->grace)) {
        m->deadline_us = m->job.worker->now_us + GRACE_POLL_US;
        return MIGRATE_WAIT;
    }
    qsbr_grace_free(m->grace);
    m->grace = NULL;
    return MIGRATE_NEXT;
}

/* What was taken goes; readers see all of it there, or nothing. */
static enum migrate_step forget_some(struct migrate *m)
{
    struct ks *ks = m->job.ks;
    if (!m->opened) {
        m->opened = ks_claim_open(ks, m->claim, SLOTS_PER_STEP);
        m->next = 0;
        return MIGRATE_AGAIN;
    }
    uint32_t end = m->key_count - m->next < KEYS_PER_STEP ? m->key_count : m->next + KEYS_PER_STEP;
    for (; m->next < end; m->next++)
        if (m->keys[m->next].state == MIGRATE_KEY_TAKEN)
            ks_delete(ks, &m->keys[m->next].key);
    if (m->next < m->key_count || !ks_claim_close(ks, m->claim, SLOTS_PER_STEP))
        return MIGRATE_AGAIN;
    return MIGRATE_NEXT;
}

static enum migrate_step forget(struct migrate *m)
{
    if (m->copy)
        return MIGRATE_NEXT;
    ks_claim_let_read(m->job.ks, m->claim, false);
    ks_claim_enter(m->job.ks, m->claim, m->job.worker->now_ms);
    enum migrate_step step = forget_some(m);
    ks_claim_leave(m->job.ks);
    return step;
}

/* The claim ends before the client knows. */
static enum migrate_step say(struct migrate *m)
{
    ks_claim_release(m->job.ks, m->claim);
    m->granted = false;
    if (m->found == 0)
        reply_status(m->job.reply, "NOKEY");
    else if (m->error[0])
        reply_error(m->job.reply, m->error);
    else
        reply_ok(m->job.reply);
    return MIGRATE_NEXT;
}

static enum migrate_step (*const phases[])(struct migrate *m) = {
    [MIGRATE_LOOK] = look,
    [MIGRATE_SETTLE] = settle,
    [MIGRATE_CONNECT] = migrate_connect,
    [MIGRATE_TRANSFER] = migrate_transfer,
    [MIGRATE_FORGET] = forget,
    [MIGRATE_REPLY] = say,
};

static bool step(struct job *j)
{
    struct migrate *m = container_from(j, struct migrate, job);
    j->due_us = 0;
    enum migrate_step result = phases[m->phase](m);
    if (result == MIGRATE_WAIT)
        j->due_us = m->deadline_us;
    if (result == MIGRATE_NEXT)
        m->phase++;
    return m->phase > MIGRATE_REPLY;
}

/* ---- waiting for the claim ---- */

static void mail_run(struct mail *mail, void *receiver)
{
    struct migrate *m = container_from(mail, struct migrate, mail);
    m->granted = true;
    if (m->cancelled)
        migrate_free(m);
    else
        job_add(&m->job);
}

/* On any lcore. */
static void on_granted(void *arg)
{
    struct migrate *m = arg;
    mail_post(&m->job.worker->mailbox, &m->mail);
}

/* The client goes before it has begun. */
static void on_cancel(struct session *s)
{
    struct migrate *m = s->parked;
    if (ks_claim_cancel(m->job.ks, m->claim))
        migrate_free(m);
    else
        m->cancelled = true;
}

static void start(struct call *c, struct migrate *m)
{
    m->mail.run = mail_run;
    session_park(c->session, m, on_cancel);
    ks_claim_let_read(c->ks, m->claim, true);
    m->granted = ks_claim(c->ks, m->claim, on_granted, m);
    if (m->granted)
        job_add(&m->job);
}

/* ---- what is asked for ---- */

/* The words of the command that are needed to the end. */
struct request {
    struct slice user, password;
    uint32_t first_key, key_count;
};

/* The option at *at, which moves over its arguments. False: an error was replied. */
static bool parse_option(struct call *c, struct migrate *m, struct request *q, uint32_t *at)
{
    struct slice word = c->argv[*at];
    uint32_t more = c->argc - 1 - *at;
    if (slice_equal_word(word, "copy"))
        return m->copy = true;
    if (slice_equal_word(word, "replace"))
        return m->replace = true;
    if (slice_equal_word(word, "auth") && more >= 1) {
        q->password = c->argv[++*at];
        return true;
    }
    if (slice_equal_word(word, "auth2") && more >= 2) {
        q->user = c->argv[++*at];
        q->password = c->argv[++*at];
        return true;
    }
    if (!slice_equal_word(word, "keys")) {
        reply_error(c->reply, REPLY_SYNTAX);
        return false;
    }
    if (c->argv[3].len > 0) {
        reply_error(c->reply, "ERR When using MIGRATE KEYS option, the key argument must be set "
                              "to the empty string");
        return false;
    }
    q->first_key = *at + 1;
    q->key_count = more;
    *at = c->argc;
    return true;
}

/* A name, or nonsense, is an address that cannot be reached. */
static void parse_address(struct call *c, struct migrate *m)
{
    char text[ADDRESS_TEXT_SIZE];
    int64_t port;
    struct slice host = c->argv[1];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (host.len >= sizeof(text) || !parse_i64(c->argv[2], &port) || port < 1 || port > UINT16_MAX)
        return;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    m->port = (uint16_t)port;
    memcpy(m->address, mapped, sizeof(mapped));
    m->has_address = inet_pton(AF_INET, text, m->address + sizeof(mapped)) == 1 ||
                     inet_pton(AF_INET6, text, m->address) == 1;
}

/* False: an error was replied. */
static bool parse(struct call *c, struct migrate *m, struct request *q)
{
    int64_t timeout_ms;
    *q = (struct request){.first_key = 3, .key_count = 1};
    for (uint32_t at = 6; at < c->argc; at++)
        if (!parse_option(c, m, q, &at))
            return false;
    if (!arg_i64(c, c->argv[5], &timeout_ms) || !arg_i64(c, c->argv[4], &m->database))
        return false;
    if (timeout_ms <= 0)
        timeout_ms = TIMEOUT_DEFAULT_MS;
    m->timeout_us = timeout_ms < INT32_MAX ? (uint64_t)timeout_ms * 1000 : INT32_MAX * 1000ull;
    parse_address(c, m);
    return true;
}

static struct slice keep(uint8_t **to, struct slice word)
{
    struct slice kept = slice_from(*to, word.len);
    if (word.len > 0)
        memcpy(*to, word.data, word.len);
    *to += word.len;
    return kept;
}

/* Copies what outlives the command, and puts the keys into the claim. False: no memory. */
static bool prepare(struct call *c, struct migrate *m, const struct request *q)
{
    size_t size = 1 + q->user.len + q->password.len;
    for (uint32_t i = 0; i < q->key_count; i++)
        size += c->argv[q->first_key + i].len;
    uint8_t *to = m->block = malloc(size);
    m->keys = calloc(q->key_count + 1, sizeof(*m->keys));
    m->claim = claim_new(q->key_count);
    if (!m->block || !m->keys || !m->claim)
        return false;
    if (q->user.data)
        m->user = keep(&to, q->user);
    if (q->password.data)
        m->password = keep(&to, q->password);
    m->key_count = q->key_count;
    for (uint32_t i = 0; i < q->key_count; i++) {
        m->keys[i].key = key_of(keep(&to, c->argv[q->first_key + i]));
        claim_add_key(m->claim, &m->keys[i].key, !m->copy);
    }
    return true;
}

void cmd_migrate(struct call *c)
{
    struct request request;
    struct migrate *m = calloc(1, sizeof(*m));
    if (!m) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    m->job = (struct job){
        .step = step, .free = job_free, .worker = c->worker, .session = c->session, .ks = c->ks};
    bool parsed = parse(c, m, &request);
    bool prepared = parsed && prepare(c, m, &request);
    if (prepared) {
        start(c, m);
        return;
    }
    if (parsed)
        reply_error(c->reply, REPLY_OOM);
    migrate_free(m);
}
