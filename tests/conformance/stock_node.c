#include "stock_node.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define START_TRIES 500
#define TRY_US 20000
#define REPLY_MAX (1 << 20)

bool stock_node_available(void)
{
    return system("command -v redis-server >/dev/null") == 0;
}

static bool port_is_free(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    bool is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return is_free;
}

/* Below the range from which connections get theirs. */
uint16_t stock_port_find(void)
{
    static unsigned next;
    if (next == 0)
        next = 20000 + (unsigned)getpid() % 500 * 4;
    for (;; next++) {
        CHECK(next < 22500);
        if (port_is_free(next) && port_is_free(next + 10000))
            return (uint16_t)next++;
    }
}

void stock_node_new(struct stock_node *n)
{
    *n = (struct stock_node){.port = stock_port_find()};
    strcpy(n->folder, "/tmp/slotwire-stock-XXXXXX");
    CHECK(mkdtemp(n->folder));
}

static void run_server(const struct stock_node *n, const char *hostname)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", n->port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open("/dev/null", O_WRONLY);
    dup2(out, 1);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir",
           n->folder, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
           "--cluster-node-timeout", "2000", "--cluster-announce-hostname", hostname, "--save", "",
           "--appendonly", "no", "--logfile", "redis.log", "--repl-diskless-sync-delay", "0", NULL);
    _exit(127);
}

bool stock_node_start(struct stock_node *n, const char *hostname)
{
    n->pid = fork();
    CHECK(n->pid >= 0);
    if (n->pid == 0)
        run_server(n, hostname);
    for (int i = 0; i < START_TRIES; i++) {
        if (waitpid(n->pid, NULL, WNOHANG) == n->pid) {
            n->pid = 0;
            return false;
        }
        char *id = stock_node_ask(n, "CLUSTER MYID");
        bool answered = strlen(id) == 40;
        if (answered)
            strcpy(n->id, id);
        free(id);
        if (answered)
            return true;
        usleep(TRY_US);
    }
    stock_node_kill(n);
    return false;
}

static void node_end(struct stock_node *n, int signal)
{
    if (n->pid == 0)
        return;
    kill(n->pid, signal);
    (void)waitpid(n->pid, NULL, 0);
    n->pid = 0;
}

void stock_node_kill(struct stock_node *n)
{
    node_end(n, SIGKILL);
}

void stock_node_stop(struct stock_node *n)
{
    node_end(n, SIGTERM);
}

void stock_node_free(struct stock_node *n)
{
    stock_node_kill(n);
    DIR *folder = opendir(n->folder);
    for (struct dirent *e; folder && (e = readdir(folder));)
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    if (folder)
        closedir(folder);
    (void)rmdir(n->folder);
}

/* ---- asking ---- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Is a status, error, number or bulk complete? Its text goes to the front. */
static bool reply_finish(char *text, size_t len)
{
    char *line_end = len > 0 ? strstr(text, "\r\n") : NULL;
    if (!line_end)
        return false;
    if (text[0] != '$') {
        *line_end = '\0';
        memmove(text, text + 1, strlen(text));
        return true;
    }
    size_t size = strtoul(text + 1, NULL, 10);
    char *body = line_end + 2;
    if (len - (size_t)(body - text) < size + 2)
        return false;
    memmove(text, body, size);
    text[size] = '\0';
    return true;
}

char *stock_node_ask(const struct stock_node *n, const char *command)
{
    char *text = calloc(1, REPLY_MAX + 1);
    CHECK(text);
    int fd = connect_to(n->port);
    size_t len = 0;
    if (fd < 0)
        return text;
    dprintf(fd, "%s\r\n", command);
    while (len < REPLY_MAX && !reply_finish(text, len)) {
        ssize_t got = read(fd, text + len, REPLY_MAX - len);
        if (got <= 0) {
            text[0] = '\0';
            break;
        }
        len += (size_t)got;
        text[len] = '\0';
    }
    close(fd);
    return text;
}

bool stock_node_says(const struct stock_node *n, const char *command, const char *text)
{
    char *reply = stock_node_ask(n, command);
    bool says = strstr(reply, text) != NULL;
    free(reply);
    return says;
}

const char *stock_node_conf(const struct stock_node *n)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/nodes.conf", n->folder);
    return path;
}
