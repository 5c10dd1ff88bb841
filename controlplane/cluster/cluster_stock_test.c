/* States over real sockets beside redis-server processes on loopback: they meet, agree on slots,
 * move one, fail each other, and elect a replica of the other kind. Skipped (77) without
 * redis-server. Real time, so it waits for conditions and only bounds how long. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "cluster.h"
#include "nodes_conf.h"

#define OURS 3
#define STOCK 3
#define CONNECTIONS_MAX 64
#define TIMEOUT_MS "2000"
#define PATIENCE_MS 30000

struct connection {
    int fd;
    cluster_link_id id;
    bool connecting;
    struct bus_framer framer;
    uint8_t *out;
    size_t out_len, out_size;
};

struct shell {
    struct cluster *c;
    struct cluster_config config;
    int listen_fd;
    cluster_link_id inbound_next;
    struct connection connections[CONNECTIONS_MAX];
    struct cluster_view *view;
    char reply[65536];
    bool stopped;
};

static struct shell shells[OURS];
static pid_t stock[STOCK];
static unsigned base_port;
static char folder[] = "/tmp/cluster_stock.XXXXXX";

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static unsigned ours_port(unsigned i)
{
    return base_port + 100 + i;
}

static unsigned stock_port(unsigned i)
{
    return base_port + i;
}

/* ---- the shell ---- */

static void shell_step(struct shell *s, struct cluster_event event);

static struct connection *connection_take(struct shell *s, int fd, cluster_link_id id)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *k = &s->connections[i];
        if (k->fd >= 0)
            continue;
        memset(k, 0, sizeof(*k));
        k->fd = fd;
        k->id = id;
        bus_framer_init(&k->framer);
        return k;
    }
    check_failed(__FILE__, __LINE__, "too many connections");
}

static void connection_end(struct connection *k)
{
    close(k->fd);
    k->fd = -1;
    bus_framer_free(&k->framer);
    free(k->out);
}

static struct connection *connection_find(struct shell *s, cluster_link_id id)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (s->connections[i].fd >= 0 && s->connections[i].id == id)
            return &s->connections[i];
    return NULL;
}

static void do_open(struct shell *s, const struct cluster_action *action)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(action->open.cport)};
    inet_pton(AF_INET, action->open.ip, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    connection_take(s, fd, action->open.link)->connecting = true;
    (void)!connect(fd, (struct sockaddr *)&to, sizeof(to)); /* poll says how it went */
}

static void do_send(struct shell *s, const struct cluster_action *action)
{
    struct connection *k = connection_find(s, action->send.link);
    const struct cluster_frame *frame = action->send.frame;
    if (!k)
        return;
    if (k->out_size - k->out_len < frame->len) {
        k->out_size = (k->out_size + frame->len) * 2;
        k->out = realloc(k->out, k->out_size);
        CHECK(k->out);
    }
    memcpy(k->out + k->out_len, frame->bytes, frame->len);
    k->out_len += frame->len;
}

static void do_persist(struct shell *s, const struct cluster_action *action)
{
    char err[NODES_CONF_ERROR_SIZE];
    struct nodes_conf *conf =
        nodes_conf_parse(slice_from(action->persist.text, action->persist.len), err);
    CHECK(conf);
    nodes_conf_free(conf);
    struct cluster_event event = {.kind = CLUSTER_EVENT_PERSISTED};
    event.persisted = (struct cluster_event_persisted){action->persist.ticket, true};
    shell_step(s, event);
}

static void act(struct shell *s, struct cluster_action *action)
{
    struct cluster_event event = {.kind = CLUSTER_EVENT_SETTLED};
    struct connection *k;
    switch (action->kind) {
    case CLUSTER_ACTION_OPEN:
        do_open(s, action);
        break;
    case CLUSTER_ACTION_CLOSE:
        k = connection_find(s, action->open.link);
        if (k)
            connection_end(k);
        break;
    case CLUSTER_ACTION_SEND:
        do_send(s, action);
        break;
    case CLUSTER_ACTION_PERSIST:
        do_persist(s, action);
        break;
    case CLUSTER_ACTION_VIEW:
        event.settled.version = action->view->version;
        shell_step(s, event);
        break;
    case CLUSTER_ACTION_REPLY:
        snprintf(s->reply, sizeof(s->reply), "%.*s", (int)action->reply.len, action->reply.text);
        break;
    default:
        break;
    }
}

static void shell_step(struct shell *s, struct cluster_event event)
{
    struct cluster_actions actions;
    cluster_actions_init(&actions);
    event.now_us = now_us(CLOCK_MONOTONIC);
    event.wall_ms = now_us(CLOCK_REALTIME) / 1000;
    cluster_step(s->c, &event, &actions);
    cluster_validate(s->c);
    for (size_t i = 0; i < actions.count; i++)
        act(s, &actions.items[i]);
    cluster_actions_free(&actions);
}

static void link_event(struct shell *s, cluster_link_id id, enum cluster_event_kind kind)
{
    struct cluster_event event = {.kind = kind};
    event.link.id = id;
    event.link.local_ip = event.link.peer_ip = slice_str("127.0.0.1");
    shell_step(s, event);
}

static void connection_lost(struct shell *s, struct connection *k)
{
    cluster_link_id id = k->id;
    bool connecting = k->connecting;
    connection_end(k);
    link_event(s, id, connecting ? CLUSTER_EVENT_LINK_FAILED : CLUSTER_EVENT_LINK_DOWN);
}

static void connection_frames(struct shell *s, struct connection *k, struct slice input)
{
    static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
    cluster_link_id id = k->id;
    struct slice frame;
    enum bus_reason why;
    enum bus_verdict verdict;
    while ((verdict = bus_framer_take(&k->framer, &input, &limits, &frame, &why)) == BUS_OK) {
        struct bus_message m;
        CHECK(bus_decode(frame, &limits, &m, &why) == BUS_OK); /* stock nodes send valid ones */
        struct cluster_event event = {.kind = CLUSTER_EVENT_FRAME};
        event.frame.link = id;
        event.frame.message = &m;
        shell_step(s, event);
        if (k->fd < 0 || k->id != id)
            return;
    }
    CHECK(verdict == BUS_MORE);
}

static void connection_ready(struct shell *s, struct connection *k, short events)
{
    static uint8_t buf[65536];
    if (k->connecting) {
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            connection_lost(s, k);
            return;
        }
        k->connecting = false;
        link_event(s, k->id, CLUSTER_EVENT_LINK_UP);
        return;
    }
    if (events & POLLOUT && k->out_len > 0) {
        ssize_t n = send(k->fd, k->out, k->out_len, MSG_NOSIGNAL);
        if (n > 0) {
            memmove(k->out, k->out + n, k->out_len - (size_t)n);
            k->out_len -= (size_t)n;
        }
    }
    if (!(events & (POLLIN | POLLHUP | POLLERR)))
        return;
    ssize_t n = recv(k->fd, buf, sizeof(buf), 0);
    if (n > 0)
        connection_frames(s, k, slice_from(buf, (size_t)n));
    else if (n == 0 || errno != EAGAIN)
        connection_lost(s, k);
}

static void shell_accept(struct shell *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *k = connection_take(s, fd, CLUSTER_LINK_INBOUND | ++s->inbound_next);
    link_event(s, k->id, CLUSTER_EVENT_LINK_UP);
}

static void shell_poll(struct shell *s)
{
    struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = s->listen_fd, .events = POLLIN}};
    if (now_us(CLOCK_MONOTONIC) >= cluster_next_us(s->c))
        shell_step(s, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *k = &s->connections[i];
        fds[i + 1].fd = k->fd;
        fds[i + 1].events = POLLIN | (k->connecting || k->out_len > 0 ? POLLOUT : 0);
    }
    poll(fds, CONNECTIONS_MAX + 1, 2);
    if (fds[0].revents)
        shell_accept(s);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *k = &s->connections[i];
        if (fds[i + 1].revents && k->fd == fds[i + 1].fd)
            connection_ready(s, k, fds[i + 1].revents);
    }
}

static uint64_t no_slot_keys(void *ctx, unsigned slot)
{
    return 0;
}

static uint64_t no_keys(void *ctx)
{
    return 0;
}

static void shell_start(unsigned i)
{
    static const struct cluster_env env = {.slot_key_count = no_slot_keys, .key_count = no_keys};
    struct shell *s = &shells[i];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cluster_config_defaults(&s->config);
    s->config.node_timeout_ms = (uint32_t)atoi(TIMEOUT_MS);
    s->config.port = (uint16_t)ours_port(i);
    s->config.cport = (uint16_t)(s->config.port + BUS_PORT_OFFSET);
    at.sin_port = htons(s->config.cport);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(bind(s->listen_fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(listen(s->listen_fd, 64) == 0);
    for (unsigned k = 0; k < CONNECTIONS_MAX; k++)
        s->connections[k].fd = -1;
    s->c = cluster_new(&s->config, &env, NULL, (uint64_t)getpid() * 10 + i);
    shell_step(s, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
}

static void shell_stop(struct shell *s)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (s->connections[i].fd >= 0)
            connection_end(&s->connections[i]);
    close(s->listen_fd);
    s->stopped = true;
}

/* ---- the stock nodes ---- */

static void stock_start(unsigned i)
{
    char port[16], file[32];
    snprintf(port, sizeof(port), "%u", stock_port(i));
    snprintf(file, sizeof(file), "nodes-%u.conf", i);
    fflush(stdout);
    stock[i] = fork();
    CHECK(stock[i] >= 0);
    if (stock[i] > 0)
        return;
    if (chdir(folder) != 0 || !freopen("redis.log", "a", stdout))
        _exit(127);
    execlp("redis-server", "redis-server", "--port", port, "--cluster-enabled", "yes",
           "--cluster-config-file", file, "--cluster-node-timeout", TIMEOUT_MS, "--save", "",
           "--repl-diskless-sync-delay", "0", "--bind", "127.0.0.1", (char *)NULL);
    _exit(77);
}

/* CLUSTER with these words, to a stock node by redis-cli, or to ours. */
static const char *ask(bool ours, unsigned i, const char *words)
{
    static char out[65536];
    char line[512];
    if (ours) {
        struct slice argv[8];
        uint32_t argc = 0;
        snprintf(line, sizeof(line), "%s", words);
        for (char *at, *word = strtok_r(line, " ", &at); word; word = strtok_r(NULL, " ", &at))
            argv[argc++] = slice_str(word);
        struct cluster_event event = {.kind = CLUSTER_EVENT_ADMIN};
        event.admin = (struct cluster_admin){.id = 1, .argv = argv, .argc = argc};
        shells[i].reply[0] = 0;
        shell_step(&shells[i], event);
        return shells[i].reply;
    }
    snprintf(line, sizeof(line), "redis-cli -p %u cluster %s 2>&1", stock_port(i), words);
    FILE *pipe = popen(line, "r");
    CHECK(pipe);
    size_t len = fread(out, 1, sizeof(out) - 1, pipe);
    out[len] = 0;
    pclose(pipe);
    return out;
}

static void stop_all(void)
{
    for (unsigned i = 0; i < STOCK; i++)
        if (stock[i] > 0) {
            kill(stock[i], SIGKILL);
            waitpid(stock[i], NULL, 0);
            stock[i] = 0;
        }
}

static void run_ms(uint64_t ms)
{
    uint64_t end_us = now_us(CLOCK_MONOTONIC) + ms * 1000;
    while (now_us(CLOCK_MONOTONIC) < end_us)
        for (unsigned i = 0; i < OURS; i++)
            if (!shells[i].stopped)
                shell_poll(&shells[i]);
}

/* Until what all running nodes say has text count times (in lines of CLUSTER NODES or INFO). */
static void expect(const char *words, const char *text, unsigned count, bool ours, unsigned who)
{
    uint64_t end_us = now_us(CLOCK_MONOTONIC) + PATIENCE_MS * 1000ull;
    for (;;) {
        const char *said = ask(ours, who, words);
        unsigned found = 0;
        for (const char *at = said; (at = strstr(at, text)); at++)
            found++;
        if (found == count)
            return;
        if (now_us(CLOCK_MONOTONIC) > end_us) {
            fprintf(stderr, "%s node %u, CLUSTER %s: '%s' %u times, not %u:\n%s\n",
                    ours ? "our" : "stock", who, words, text, found, count, said);
            stop_all();
            exit(1);
        }
        run_ms(100);
    }
}

static void expect_all(const char *words, const char *text, unsigned count)
{
    for (unsigned i = 0; i < OURS; i++)
        if (!shells[i].stopped)
            expect(words, text, count, true, i);
    for (unsigned i = 0; i < STOCK; i++)
        if (stock[i] > 0)
            expect(words, text, count, false, i);
    printf("all say %u times '%.*s'\n", count, (int)strcspn(text, "\n"), text);
}

static void command(bool ours, unsigned i, const char *words)
{
    const char *said = ask(ours, i, words);
    if (!strstr(said, "OK")) {
        fprintf(stderr, "CLUSTER %s: %s\n", words, said);
        stop_all();
        exit(1);
    }
}

/* ---- the story ---- */

static void everybody_meets(void)
{
    char words[64];
    for (unsigned i = 1; i < STOCK; i++) {
        snprintf(words, sizeof(words), "meet 127.0.0.1 %u", stock_port(i));
        command(true, 0, words); /* ours meets stock */
    }
    snprintf(words, sizeof(words), "meet 127.0.0.1 %u", stock_port(1));
    command(false, 0, words); /* stock meets stock */
    snprintf(words, sizeof(words), "meet 127.0.0.1 %u", ours_port(1));
    command(false, 0, words); /* stock meets ours */
    snprintf(words, sizeof(words), "meet 127.0.0.1 %u", ours_port(2));
    command(true, 0, words); /* ours meets ours */
    expect_all("info", "cluster_known_nodes:6", 1);
    expect_all("nodes", " connected", 6);
    expect_all("nodes", "handshake", 0);
}

static void slots_are_spread(void)
{
    command(true, 0, "addslotsrange 0 3999");
    command(true, 1, "addslotsrange 4000 7999");
    command(false, 0, "addslotsrange 8000 11999");
    command(false, 1, "addslotsrange 12000 16383");
    expect_all("info", "cluster_state:ok", 1);
    expect_all("nodes", " connected 0-3999\n", 1);
    expect_all("nodes", " connected 4000-7999\n", 1);
    expect_all("nodes", " connected 8000-11999\n", 1);
}

/* From stock to ours, and from ours to stock, as redis-cli does it. */
static void slots_move(void)
{
    char words[128], ours[64], theirs[64];
    snprintf(ours, sizeof(ours), "%s", cluster_self_id(shells[0].c));
    snprintf(theirs, sizeof(theirs), "%.40s", ask(false, 0, "myid"));
    snprintf(words, sizeof(words), "setslot 8000 importing %s", theirs);
    command(true, 0, words);
    snprintf(words, sizeof(words), "setslot 8000 migrating %s", ours);
    command(false, 0, words);
    snprintf(words, sizeof(words), "setslot 8000 node %s", ours);
    command(true, 0, words);
    command(false, 0, words);
    expect_all("nodes", " connected 8001-11999\n", 1);
    expect_all("nodes", " connected 0-3999 8000\n", 1);
    snprintf(words, sizeof(words), "setslot 0 importing %s", ours);
    command(false, 0, words);
    snprintf(words, sizeof(words), "setslot 0 migrating %s", theirs);
    command(true, 0, words);
    snprintf(words, sizeof(words), "setslot 0 node %s", theirs);
    command(false, 0, words);
    command(true, 0, words);
    expect_all("nodes", " connected 0 8001-11999\n", 1);
    expect_all("nodes", " connected 1-3999 8000\n", 1);
}

static void a_stock_primary_fails(void)
{
    kill(stock[1], SIGKILL);
    waitpid(stock[1], NULL, 0);
    stock[1] = 0;
    expect_all("nodes", "master,fail ", 1);
    expect_all("info", "cluster_state:fail", 1);
    stock_start(1);
    expect_all("nodes", "master,fail ", 0);
    expect_all("info", "cluster_state:ok", 1);
}

/* A stock replica asks: of the four primaries two of ours and a stock one are left, all of whose
 * votes it needs. */
static void a_stock_replica_is_elected(void)
{
    char words[64];
    snprintf(words, sizeof(words), "replicate %.40s", ask(false, 1, "myid"));
    command(false, 2, words);
    expect_all("nodes", "slave ", 1);
    run_ms(3000); /* until it has synchronised */
    kill(stock[1], SIGKILL);
    waitpid(stock[1], NULL, 0);
    stock[1] = 0;
    expect_all("nodes", "master,fail ", 1);
    expect_all("nodes", " connected 12000-16383\n", 1);
    expect_all("info", "cluster_state:ok", 1);
    stock_start(1);
    expect_all("nodes", "fail", 0);
    expect_all("nodes", "slave ", 1);
}

/* One of ours asks, and needs a stock node's vote. What it replicates is only said here. */
static void a_replica_of_ours_is_elected(void)
{
    char words[64];
    snprintf(words, sizeof(words), "replicate %.40s", ask(false, 0, "myid"));
    command(true, 2, words);
    expect_all("nodes", "slave ", 2);
    struct cluster_event event = {
        .kind = CLUSTER_EVENT_REPLICATION,
        .replication = {
            .offset = 1, .link_up = true, .synced = true, .contact_us = now_us(CLOCK_MONOTONIC)}};
    shell_step(&shells[2], event);
    kill(stock[0], SIGKILL);
    waitpid(stock[0], NULL, 0);
    stock[0] = 0;
    expect_all("nodes", "master,fail ", 1);
    expect_all("nodes", " connected 0 8001-11999\n", 1);
    expect_all("info", "cluster_state:ok", 1);
    CHECK(cluster_counts_get(shells[2].c)->elections_won == 1);
    stock_start(0);
    expect_all("nodes", "fail", 0);
    expect_all("nodes", "slave ", 2);
}

static void a_primary_of_ours_fails(void)
{
    shell_stop(&shells[1]);
    expect_all("nodes", "master,fail ", 1);
}

int main(void)
{
    if (system("redis-server --version >/dev/null 2>&1 && redis-cli --version >/dev/null") != 0)
        return 77;
    CHECK(mkdtemp(folder));
    atexit(stop_all);
    base_port = 20000 + (unsigned)getpid() % 10000;
    for (unsigned i = 0; i < STOCK; i++)
        stock_start(i);
    for (unsigned i = 0; i < OURS; i++)
        shell_start(i);
    run_ms(500);
    everybody_meets();
    slots_are_spread();
    slots_move();
    a_stock_primary_fails();
    a_stock_replica_is_elected();
    a_replica_of_ours_is_elected();
    a_primary_of_ours_fails();
    for (unsigned i = 0; i < OURS; i++) {
        if (!shells[i].stopped)
            shell_stop(&shells[i]);
        cluster_free(shells[i].c);
    }
    stop_all();
    char line[128];
    snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line) == 0 ? 0 : 1;
}
