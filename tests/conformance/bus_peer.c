#include "bus_peer.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "check.h"
#include "test_bus.h"

#define READ_SIZE 65536

static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int conn_new(struct bus_peer *p, int fd)
{
    for (int i = 0; i < BUS_PEER_CONNS; i++) {
        if (p->conns[i].fd != 0)
            continue;
        p->conns[i].fd = fd;
        bus_framer_init(&p->conns[i].framer);
        return i;
    }
    CHECK(!"room for a connection");
    return -1;
}

static void conn_end(struct bus_peer_conn *c)
{
    if (c->fd == 0)
        return;
    close(c->fd);
    c->fd = 0;
    bus_framer_free(&c->framer);
}

void bus_peer_open(struct bus_peer *p, const char *name, uint16_t port)
{
    struct sockaddr_in a = loopback((uint16_t)(port + BUS_PORT_OFFSET));
    int on = 1;
    memset(p, 0, sizeof(*p));
    p->header = (struct bus_header){.port = port,
                                    .cport = (uint16_t)(port + BUS_PORT_OFFSET),
                                    .flags = BUS_NODE_MASTER | BUS_NODE_MYSELF,
                                    .sender = (const uint8_t *)name,
                                    .slots = p->slots,
                                    .ip = slice_str("127.0.0.1")};
    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(p->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(bind(p->listen_fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    CHECK(listen(p->listen_fd, 16) == 0);
}

void bus_peer_close(struct bus_peer *p)
{
    for (int i = 0; i < BUS_PEER_CONNS; i++)
        conn_end(&p->conns[i]);
    close(p->listen_fd);
}

int bus_peer_connect(struct bus_peer *p, uint16_t cport)
{
    struct sockaddr_in a = loopback(cport);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return conn_new(p, fd);
}

void bus_peer_send(struct bus_peer *p, int conn, uint16_t type)
{
    uint8_t buf[8192];
    struct bus_writer w;
    p->header.type = type;
    bus_write_begin(&w, buf, sizeof(buf), &p->header);
    if (bus_type_is_ping(type) && p->news)
        bus_write_gossip(&w, p->news);
    if (bus_type_is_ping(type) && p->hostname) {
        struct bus_extension e = {.type = BUS_EXT_HOSTNAME, .text = slice_str(p->hostname)};
        bus_write_extension(&w, &e);
    }
    size_t len = bus_write_end(&w);
    /* A link that the other side has just closed is no fault. */
    (void)send(p->conns[conn].fd, buf, len, MSG_NOSIGNAL);
}

static void check_rebuilt(struct bus_peer *p, const struct bus_message *m)
{
    uint8_t *again;
    size_t len = test_bus_rebuild(m, &again);
    if (len != m->frame.len || memcmp(again, m->frame.data, len) != 0) {
        size_t at = 0;
        while (at < len && again[at] == m->frame.data[at])
            at++;
        fprintf(stderr, "a %s differs at byte %zu of %zu\n", bus_type_text(m->header.type), at,
                m->frame.len);
        p->differing++;
    }
    free(again);
}

static void take_message(struct bus_peer *p, int conn, const struct bus_message *m)
{
    struct bus_extension_iter i;
    struct bus_extension e;
    p->seen[m->header.type]++;
    if (m->header.current_epoch > p->header.current_epoch)
        p->header.current_epoch = m->header.current_epoch;
    if (m->header.type == BUS_AUTH_REQUEST)
        p->auth_epoch = m->header.current_epoch;
    if (!bus_type_is_ping(m->header.type))
        return;
    bus_extension_first(m, &i);
    while (bus_extension_next(&i, &e))
        p->hostnames += e.type == BUS_EXT_HOSTNAME && e.text.len > 0;
    if (m->header.type != BUS_PONG)
        bus_peer_send(p, conn, BUS_PONG);
}

static void take_bytes(struct bus_peer *p, int conn, struct slice input)
{
    struct bus_peer_conn *c = &p->conns[conn];
    struct bus_message m;
    struct slice frame;
    enum bus_reason why;
    enum bus_verdict v;
    while ((v = bus_framer_take(&c->framer, &input, &limits, &frame, &why)) == BUS_OK) {
        if (bus_decode(frame, &limits, &m, &why) != BUS_OK) {
            fprintf(stderr, "a frame of %zu bytes: %s\n", frame.len, bus_reason_text(why));
            p->not_ok++;
            continue;
        }
        check_rebuilt(p, &m);
        take_message(p, conn, &m);
    }
    p->not_ok += v == BUS_CLOSE;
}

void bus_peer_run(struct bus_peer *p, int timeout_ms)
{
    static uint8_t bytes[READ_SIZE];
    struct pollfd fds[BUS_PEER_CONNS + 1] = {{.fd = p->listen_fd, .events = POLLIN}};
    for (int i = 0; i < BUS_PEER_CONNS; i++)
        fds[i + 1] = (struct pollfd){.fd = p->conns[i].fd ? p->conns[i].fd : -1, .events = POLLIN};
    if (poll(fds, BUS_PEER_CONNS + 1, timeout_ms) <= 0)
        return;
    for (int i = 0; i < BUS_PEER_CONNS; i++) {
        if (!fds[i + 1].revents)
            continue;
        ssize_t got = read(p->conns[i].fd, bytes, sizeof(bytes));
        if (got > 0)
            take_bytes(p, i, slice_from(bytes, (size_t)got));
        else
            conn_end(&p->conns[i]);
    }
    if (fds[0].revents)
        (void)conn_new(p, accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC));
}
