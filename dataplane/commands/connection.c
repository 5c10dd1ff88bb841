#include "families.h"
#include "client_name.h"
#include "numbers.h"
#include "session.h"

#define VERSION_COMPATIBLE "7.0.15" /* the Redis whose protocol and replies this node has */

void cmd_ping(struct call *c)
{
    if (c->argc > 2) {
        command_reply_arity(c);
        return;
    }
    if (c->session->flags & SESSION_PUBSUB && c->reply->protocol == 2) {
        reply_array(c->reply, 2);
        reply_bulk_str(c->reply, "pong");
        reply_bulk(c->reply, c->argc == 2 ? c->argv[1] : slice_from(NULL, 0));
        return;
    }
    if (c->argc == 2)
        reply_bulk(c->reply, c->argv[1]);
    else
        reply_status(c->reply, "PONG");
}

void cmd_echo(struct call *c)
{
    reply_bulk(c->reply, c->argv[1]);
}

void cmd_select(struct call *c)
{
    int64_t index;
    if (!parse_i64(c->argv[1], &index) || index < INT32_MIN || index > INT32_MAX)
        reply_error(c->reply, REPLY_NOT_INTEGER);
    else if (index != 0)
        reply_error(c->reply, c->worker->node->cluster != NULL
                                  ? "ERR SELECT is not allowed in cluster mode"
                                  : "ERR DB index is out of range");
    else
        reply_ok(c->reply);
}

void cmd_quit(struct call *c)
{
    reply_ok(c->reply);
    session_close(c->session, true);
}

void cmd_reset(struct call *c)
{
    session_reset(c->session);
    c->session->flags &= ~(uint32_t)SESSION_AUTHENTICATED;
    if (c->worker->config->requirepass[0] == '\0')
        c->session->flags |= SESSION_AUTHENTICATED;
    session_reply_mode_apply(c->session);
    reply_status(c->reply, "RESET");
}

/* ---- passwords ---- */

/* Takes a time that depends on what the client sent, not on the password. */
static bool password_matches(const char *password, struct slice given)
{
    size_t len = strlen(password);
    size_t differences = len ^ given.len;
    for (size_t i = 0; i < given.len; i++)
        differences |= given.data[i] ^ (uint8_t)password[len ? i % len : 0];
    return differences == 0;
}

/* There is one user, "default"; without a password it accepts any. */
static bool authenticate(struct call *c, struct slice user, struct slice password)
{
    const char *required = c->worker->config->requirepass;
    bool matches = required[0] == '\0' || password_matches(required, password);
    if (!slice_equal(user, slice_str("default")) || !matches) {
        reply_error(c->reply, "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    c->session->flags |= SESSION_AUTHENTICATED;
    return true;
}

void cmd_auth(struct call *c)
{
    struct slice user = slice_str("default");
    if (c->argc > 3) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    if (c->argc == 2 && c->worker->config->requirepass[0] == '\0') {
        reply_error(c->reply, "ERR AUTH <password> called without any password configured for the "
                              "default user. Are you sure your configuration is correct?");
        return;
    }
    if (c->argc == 3)
        user = c->argv[1];
    if (authenticate(c, user, c->argv[c->argc - 1]))
        reply_ok(c->reply);
}

/* ---- HELLO ---- */

/* 0: not given. */
static bool hello_protocol(struct call *c, int64_t *protocol)
{
    if (c->argc < 2)
        return true;
    if (!parse_i64(c->argv[1], protocol)) {
        reply_error(c->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (*protocol < 2 || *protocol > 3) {
        reply_error(c->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    return true;
}

/* Options take effect one after the other, as in Redis: what stood before a wrong one stays. */
static bool hello_options(struct call *c)
{
    for (uint32_t i = 2; i < c->argc; i++) {
        uint32_t left = c->argc - 1 - i;
        if (slice_equal_word(c->argv[i], "auth") && left >= 2) {
            if (!authenticate(c, c->argv[i + 1], c->argv[i + 2]))
                return false;
            i += 2;
        } else if (slice_equal_word(c->argv[i], "setname") && left >= 1) {
            if (!client_name_check(c, c->argv[i + 1]))
                return false;
            client_name_set(c->session, c->argv[++i]);
        } else {
            reply_errorf(c->reply, "ERR Syntax error in HELLO option '%.*s'",
                         c->argv[i].len < 128 ? (int)c->argv[i].len : 128,
                         (const char *)c->argv[i].data);
            return false;
        }
    }
    return true;
}

static void hello_reply(struct call *c)
{
    struct reply *r = c->reply;
    reply_map(r, 7);
    reply_bulk_str(r, "server");
    reply_bulk_str(r, "redis");
    reply_bulk_str(r, "version");
    reply_bulk_str(r, VERSION_COMPATIBLE);
    reply_bulk_str(r, "proto");
    reply_i64(r, r->protocol);
    reply_bulk_str(r, "id");
    reply_i64(r, (int64_t)c->session->id);
    reply_bulk_str(r, "mode");
    reply_bulk_str(r, c->worker->node->cluster != NULL ? "cluster" : "standalone");
    reply_bulk_str(r, "role");
    reply_bulk_str(r, "master");
    reply_bulk_str(r, "modules");
    reply_array(r, 0);
}

void cmd_hello(struct call *c)
{
    int64_t protocol = 0;
    if (!hello_protocol(c, &protocol) || !hello_options(c))
        return;
    if (session_needs_auth(c->session)) {
        reply_error(c->reply, "NOAUTH HELLO must be called with the client already authenticated, "
                              "otherwise the HELLO AUTH <user> <pass> option can be used to "
                              "authenticate the client and select the RESP protocol version at the "
                              "same time");
        return;
    }
    if (protocol)
        c->reply->protocol = (uint8_t)protocol;
    hello_reply(c);
}
