/* CLIENT: what concerns the connection itself, and PAUSE. */
#include <stdlib.h>
#include "check.h"
#include "client_name.h"
#include "families.h"
#include "numbers.h"
#include "session.h"

bool client_name_check(struct call *c, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') {
            reply_error(c->reply, "ERR Client names cannot contain spaces, newlines or special "
                                  "characters.");
            return false;
        }
    }
    return true;
}

void client_name_set(struct session *s, struct slice name)
{
    char *copy = NULL;
    if (name.len > 0) {
        copy = malloc(name.len + 1);
        CHECK(copy);
        memcpy(copy, name.data, name.len);
        copy[name.len] = '\0';
    }
    free(s->name);
    s->name = copy;
}

void cmd_client_setname(struct call *c)
{
    if (!client_name_check(c, c->argv[2]))
        return;
    client_name_set(c->session, c->argv[2]);
    reply_ok(c->reply);
}

void cmd_client_getname(struct call *c)
{
    if (c->session->name)
        reply_bulk_str(c->reply, c->session->name);
    else
        reply_null(c->reply);
}

void cmd_client_id(struct call *c)
{
    reply_i64(c->reply, (int64_t)c->session->id);
}

void cmd_client_no_evict(struct call *c)
{
    if (slice_equal_word(c->argv[2], "on")) {
        c->session->flags |= SESSION_NO_EVICT;
    } else if (slice_equal_word(c->argv[2], "off")) {
        c->session->flags &= ~(uint32_t)SESSION_NO_EVICT;
    } else {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    reply_ok(c->reply);
}

void cmd_client_reply(struct call *c)
{
    struct session *s = c->session;
    if (slice_equal_word(c->argv[2], "on")) {
        s->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP | SESSION_REPLY_SKIP_NEXT);
        session_reply_mode_apply(s);
        reply_ok(c->reply);
    } else if (slice_equal_word(c->argv[2], "off")) {
        s->flags |= SESSION_REPLY_OFF;
        session_reply_mode_apply(s);
    } else if (slice_equal_word(c->argv[2], "skip")) {
        if (!(s->flags & SESSION_REPLY_OFF))
            s->flags |= SESSION_REPLY_SKIP_NEXT;
    } else {
        reply_error(c->reply, REPLY_SYNTAX);
    }
}

/* ---- PAUSE ---- */

/* A pause that is in force is only prolonged or made stricter. */
static void pause_until(struct worker *w, int64_t until_ms, bool all)
{
    struct node *node = w->node;
    int64_t now = atomic_load_explicit(&node->pause_until_ms, memory_order_relaxed);
    if (now > w->now_ms) {
        all |= atomic_load_explicit(&node->pause_all, memory_order_relaxed);
        until_ms = until_ms > now ? until_ms : now;
    }
    atomic_store_explicit(&node->pause_all, all, memory_order_relaxed);
    atomic_store_explicit(&node->pause_until_ms, until_ms, memory_order_release);
}

void cmd_client_pause(struct call *c)
{
    int64_t timeout_ms, until_ms;
    bool all = true;
    if (c->argc > 4) {
        command_reply_unknown_sub(c);
        return;
    }
    if (c->argc == 4 && slice_equal_word(c->argv[3], "write")) {
        all = false;
    } else if (c->argc == 4 && !slice_equal_word(c->argv[3], "all")) {
        reply_error(c->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    }
    if (!parse_i64(c->argv[2], &timeout_ms)) {
        reply_error(c->reply, "ERR timeout is not an integer or out of range");
        return;
    }
    if (timeout_ms < 0) {
        reply_error(c->reply, "ERR timeout is negative");
        return;
    }
    if (__builtin_add_overflow(c->worker->now_ms, timeout_ms, &until_ms))
        until_ms = INT64_MAX;
    pause_until(c->worker, until_ms, all);
    reply_ok(c->reply);
}

void cmd_client_unpause(struct call *c)
{
    atomic_store_explicit(&c->worker->node->pause_until_ms, 0, memory_order_release);
    reply_ok(c->reply);
}

/* No command of this node blocks a client on data yet, so there is nobody to unblock. */
void cmd_client_unblock(struct call *c)
{
    int64_t id;
    if (c->argc > 4)
        command_reply_unknown_sub(c);
    else if (c->argc == 4 && !slice_equal_word(c->argv[3], "timeout") &&
             !slice_equal_word(c->argv[3], "error"))
        reply_error(c->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    else if (!parse_i64(c->argv[2], &id))
        reply_error(c->reply, REPLY_NOT_INTEGER);
    else
        reply_i64(c->reply, 0);
}

void cmd_client_help(struct call *c)
{
    static const char *const lines[] = {
        "GETNAME",
        "    The name of this connection.",
        "ID",
        "    The id of this connection.",
        "INFO",
        "    Information about this connection.",
        "KILL <ip:port>",
        "    End the connection from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    End connections. The options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      from that address",
        "    * ID <client-id>",
        "      with that id",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      to that address of ours",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      of that type",
        "    * USER <username>",
        "      authenticated as that user",
        "    * SKIPME (YES|NO)",
        "      but not this one (default: yes).",
        "LIST [options ...]",
        "    Information about connections. The options are:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      of that type",
        "    * ID <client-id> [<client-id> [...]]",
        "      with these ids.",
        "NO-EVICT (ON|OFF)",
        "    Protect this connection from eviction.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold all commands, or only writes, back for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Whether commands of this connection are replied to.",
        "SETNAME <name>",
        "    Give this connection a name.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    End the wait of a blocked connection.",
        "UNPAUSE",
        "    End a pause.",
        NULL,
    };
    command_reply_help(c, lines);
}
