/* Sequences of what clients can do, on a node of two lcores: connect, send pieces of commands (from
 * a dictionary, or raw), read or not, vanish, half-close; time goes on; the loops run in between,
 * or not. The node must survive, forget everything in the end, and the sanitizers must be content.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "test_node.h"

#define LCORES 2
#define CLIENTS_MAX 6

/* Arguments are joined by blanks: inline requests. */
static const char *const words[] = {
    "PING\r\n",
    "MULTI\r\n",
    "EXEC\r\n",
    "DISCARD\r\n",
    "WATCH k\r\n",
    "UNWATCH\r\n",
    "SET k v\r\n",
    "GET k\r\n",
    "SUBSCRIBE a b\r\n",
    "UNSUBSCRIBE\r\n",
    "PSUBSCRIBE a*\r\n",
    "PUNSUBSCRIBE a*\r\n",
    "PUBLISH a m\r\n",
    "PUBSUB NUMSUB a\r\n",
    "HELLO 3\r\n",
    "HELLO 2\r\n",
    "RESET\r\n",
    "QUIT\r\n",
    "CLIENT LIST\r\n",
    "CLIENT KILL TYPE normal\r\n",
    "CLIENT KILL TYPE pubsub SKIPME no\r\n",
    "CLIENT PAUSE 10 WRITE\r\n",
    "CLIENT PAUSE 10\r\n",
    "CLIENT UNPAUSE\r\n",
    "CLIENT REPLY OFF\r\n",
    "CLIENT REPLY ON\r\n",
    "CLIENT REPLY SKIP\r\n",
    "CLIENT INFO\r\n",
    "CLIENT KILL ID 1\r\n",
    "CLIENT KILL ID 2\r\n",
    "AUTH secret\r\n",
    "AUTH default x\r\n",
    "FLUSHALL\r\n",
    "SET k v PX 5\r\n",
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n",
    "hello\r\n",
    "*2\r\n$3\r\nGET\r\n",
    "$1\r\nk\r\n",
    "*0\r\n",
    "\"a\\x00\" 'b'\r\n",
    "*1\r\n",
    "$4\r\nPING\r\n",
    "KEYS *\r\n",
    "EXPIRE k 0\r\n",
    "INCR k\r\n",
    "NOSUCH \r\n",
    "SLOWLOG GET\r\n",
    "CLIENT NO-EVICT on\r\n",
    "DEL k\r\n",
    "CONFIG GET *\r\n",
    "DUMP k\r\n",
    "RESTORE k 0 \"\\x00\\x05hello\\n\\x00cr\\xdfvfS4 \" REPLACE\r\n",
    "MIGRATE 10.0.0.2 7000 k 0 10\r\n",
};

struct fuzz {
    struct test_node *node;
    struct test_client *clients[CLIENTS_MAX];
    const uint8_t *data;
    size_t left;
};

static uint8_t next_byte(struct fuzz *f)
{
    if (f->left == 0)
        return 0;
    f->left--;
    return *f->data++;
}

static void push(struct fuzz *f, struct test_client *c, const void *data, size_t len)
{
    /* Whole, or cut in two. */
    size_t cut = next_byte(f) % (len + 1);
    test_stream_push(c->stream, data, cut);
    if (cut & 1)
        test_node_run(f->node);
    test_stream_push(c->stream, (const uint8_t *)data + cut, len - cut);
}

static void act(struct fuzz *f, struct test_client *c, uint8_t action)
{
    const char *word = words[next_byte(f) % (sizeof(words) / sizeof(words[0]))];
    uint8_t raw[16];
    switch (action % 10) {
    case 0:
        test_stream_reset(c->stream);
        break;
    case 1:
        test_stream_eof(c->stream);
        break;
    case 2:
        test_replies(c, NULL);
        break;
    case 3:
        test_node_advance(f->node, next_byte(f));
        break;
    case 4:
        test_node_run(f->node);
        break;
    case 5:
        for (size_t i = 0; i < sizeof(raw); i++)
            raw[i] = next_byte(f);
        push(f, c, raw, sizeof(raw));
        break;
    default:
        push(f, c, word, strlen(word));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The index keeps its pointers in tagged words, which the leak sanitizer cannot read. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* One node for all inputs; each leaves it as it was. */
static struct test_node *fuzz_node(void)
{
    static struct test_node *node;
    if (!node) {
        node = test_node_new(LCORES);
        test_node_config(node, "client-output-buffer-limit", "pubsub 16kb 4kb 1");
    }
    return node;
}

static void clean_up(struct test_node *node)
{
    test_node_disconnect(node);
    atomic_store(&test_node_shared(node)->pause_until_ms, 0);
    test_node_config(node, "requirepass", "");
    struct test_client *c = test_connect(node, 0);
    TEST_SEND(c, "FLUSHALL\r\nDBSIZE\r\n");
    CHECK(strcmp(test_replies(c, NULL), "+OK\r\n:0\r\n") == 0);
    test_node_disconnect(node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = {.node = fuzz_node(), .data = data, .left = size};
    if (next_byte(&f) & 1)
        test_node_config(f.node, "requirepass", "secret");
    while (f.left > 0) {
        uint8_t who = next_byte(&f) % CLIENTS_MAX;
        struct test_client **c = &f.clients[who];
        if (!*c || test_is_closed(*c))
            *c = test_connect(f.node, who % LCORES);
        act(&f, *c, next_byte(&f));
    }
    clean_up(f.node);
    return 0;
}
