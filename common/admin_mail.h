/* What a client asks of the control thread (CONFIG SET and REWRITE, SHUTDOWN …), as mail: made on
 * the client's lcore, served by the control thread, posted back to the lcore with the answer.
 *
 * One per parked session, so their number is bounded by the clients. Whoever holds the mail owns
 * the request; the client may be gone when the answer arrives. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "mailbox.h"
#include "slice.h"

enum admin_kind {
    ADMIN_CONFIG_SET, /* words: name, value, name, value … */
    ADMIN_CONFIG_REWRITE,
    ADMIN_CONFIG_RESETSTAT,
    ADMIN_SHUTDOWN,
    ADMIN_MEMORY_PURGE,
    ADMIN_MALLOC_STATS, /* text: the allocator's report */
    ADMIN_CLUSTER,   /* words: CLUSTER without that word; text: the reply as RESP, always */
    ADMIN_PEER_PING,    /* words: address, port; text: how long its answer took */
    /* capture_serve.h; words of START: name, value, name, value … */
    ADMIN_CAPTURE_START,
    ADMIN_CAPTURE_STOP,
    ADMIN_CAPTURE_STATUS,
};

#define ADMIN_ERROR_SIZE 512

struct admin_request {
    struct mail mail;
    enum admin_kind kind;
    uint32_t word_count;
    const struct slice *words;  /* copies, in the request's own memory */
    struct admin_request *next; /* the server's, while it keeps the request */
    struct mailbox *reply_to;
    void (*reply)(struct mail *mail, void *receiver); /* runs on the lcore, frees the request */
    uint64_t session_id;
    uint64_t server_id;           /* the server's, while it keeps the request */
    bool local;                   /* the client came through the unix socket */
    bool resp3;                   /* the client speaks RESP3 */
    char error[ADMIN_ERROR_SIZE]; /* out: the error reply ("ERR …"), empty when done */
    char *text;                   /* out: malloc, the reply instead of OK; freed with the request */
    size_t text_len;
};

enum admin_outcome {
    ADMIN_DONE,  /* error or text are set: answer now */
    ADMIN_LATER, /* the server keeps the request and answers with admin_request_answer() */
    ADMIN_NEVER, /* no answer: the node is ending */
};

/* What the control thread's mailbox is run with: the first member of its state. */
struct admin_server {
    enum admin_outcome (*serve)(struct admin_server *server, struct admin_request *request);
};

/* Copies the words. NULL: out of memory. reply_to, reply and session_id are the caller's to set. */
struct admin_request *admin_request_new(enum admin_kind kind, const struct slice *words,
                                        uint32_t word_count);
void admin_request_free(struct admin_request *request);
/* Control thread: posts it back to its lcore. */
void admin_request_answer(struct admin_request *request);
/* Posts it to the control thread. */
void admin_request_post(struct mailbox *control, struct admin_request *request);
