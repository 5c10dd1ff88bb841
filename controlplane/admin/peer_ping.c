#include "peer_ping.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "clock.h"
#include "links.h"
#include "numbers.h"

#define PING "*1\r\n$4\r\nPING\r\n"
#define PONG "+PONG\r\n"
#define ADDRESS_TEXT_SIZE 46

struct peer_ping {
    struct control_server *server;
    struct admin_request *request;
    char name[ADDRESS_TEXT_SIZE + 16]; /* of the peer */
    char got[sizeof(PONG) - 1];
    size_t got_len;
    uint64_t start_us;
};

static void ping_answer(struct peer_ping *p)
{
    if (p->server->ending)
        admin_request_free(p->request); /* its lcore has ended */
    else
        admin_request_answer(p->request);
    free(p);
}

static void ping_fail(struct peer_ping *p, const char *why)
{
    snprintf(p->request->error, sizeof(p->request->error), "ERR peer %s: %s", p->name, why);
    ping_answer(p);
}

static void ping_done(struct peer_ping *p)
{
    char text[128];
    uint64_t took_us = clock_now_us() - p->start_us;
    int len = snprintf(text, sizeof(text), "PONG from %s in %llu us", p->name,
                       (unsigned long long)took_us);
    p->request->text = strdup(text);
    p->request->text_len = (size_t)len;
    CHECK(p->request->text);
    ping_answer(p);
}

static void on_connected(struct stream *s)
{
    link_deadline(s, PEER_PING_TIMEOUT_US);
    (void)link_send(s, PING, sizeof(PING) - 1); /* into an empty queue */
}

static void on_readable(struct stream *s)
{
    struct peer_ping *p = s->user;
    struct slice piece = s->ops->peek(s);
    size_t room = sizeof(p->got) - p->got_len;
    size_t take = piece.len < room ? piece.len : room;
    memcpy(p->got + p->got_len, piece.data, take);
    p->got_len += take;
    bool as_hoped = memcmp(p->got, PONG, p->got_len) == 0;
    s->ops->consume(s, piece.len);
    if (as_hoped && p->got_len < sizeof(p->got))
        return;
    s->ops->close(s);
    if (as_hoped)
        ping_done(p);
    else
        ping_fail(p, "answered something else");
}

static void on_drained(struct stream *s)
{
}

static void on_eof(struct stream *s)
{
    s->ops->close(s);
    ping_fail(s->user, "closed");
}

static void on_ended(struct stream *s, enum stream_end why)
{
    static const char *const words[] = {
        [STREAM_END_CLOSED] = "closed",     [STREAM_END_RESET] = "closed",
        [STREAM_END_TIMEOUT] = "timed out", [STREAM_END_REFUSED] = "connection refused",
        [STREAM_END_ABORTED] = "given up",  [STREAM_END_UNREACHABLE] = "unreachable",
    };
    ping_fail(s->user, words[why]);
}

static const struct stream_user_ops ping_user_ops = {
    .connected = on_connected,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

static bool target_parse(const struct admin_request *request, struct link_target *to, char *name)
{
    struct slice address = request->words[0];
    char text[ADDRESS_TEXT_SIZE];
    int64_t port;
    if (request->word_count != 2 || address.len >= sizeof(text) ||
        memchr(address.data, 0, address.len) || !parse_i64(request->words[1], &port) || port < 1 ||
        port > UINT16_MAX)
        return false;
    memcpy(text, address.data, address.len);
    text[address.len] = '\0';
    to->port = (uint16_t)port;
    snprintf(name, ADDRESS_TEXT_SIZE + 16, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, to->port);
    return link_address_parse(text, to->address);
}

enum admin_outcome peer_ping_serve(struct control_server *server, struct admin_request *request)
{
    struct peer_ping *p = calloc(1, sizeof(*p));
    CHECK(p);
    struct link_target to = {.timeout_us = PEER_PING_TIMEOUT_US};
    if (!target_parse(request, &to, p->name)) {
        strcpy(request->error, "ERR peer needs an address and a port, for example 10.77.0.2 6379");
        free(p);
        return ADMIN_DONE;
    }
    /* All lcores in turn. */
    unsigned lcore_count = links_lcore_count(server->links);
    to.lcore = lcore_count > 0 ? server->peer_lcore_next++ % lcore_count : 0;
    p->server = server;
    p->request = request;
    p->start_us = clock_now_us();
    if (link_open(server->links, &to, &ping_user_ops, p))
        return ADMIN_LATER;
    snprintf(request->error, sizeof(request->error), "ERR peer %s: too many links", p->name);
    free(p);
    return ADMIN_DONE;
}
