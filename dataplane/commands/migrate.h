/* MIGRATE under way: keys go to another node as RESTOREs, and are deleted here once that has taken
 * them (issue of the cluster, rule 12).
 *
 * The keys are held by an exclusive claim that lets others read: so nothing is written between the
 * value that was sent and its deletion; who wants to write waits, and is asked again where the slot
 * is then. In a cluster a grace period passes first, so that a command that was let in before the
 * claim has ended. The client is parked; the state machine is a job (job.h), woken by what TCP
 * tells. A client that goes away does not end it.
 *
 * Owner: the lcore of the client. Bounds: one per parked client; MIGRATE_OUT_MAX bytes wait for the
 * peer beside one value. */
#pragma once
#include "claim.h"
#include "dump_payload.h"
#include "job.h"
#include "migrate_link.h"
#include "qsbr.h"

#define MIGRATE_OUT_MAX ((size_t)256 << 10)

enum migrate_key_state {
    MIGRATE_KEY_UNKNOWN,
    MIGRATE_KEY_ABSENT, /* or expired before its turn */
    MIGRATE_KEY_SENT,
    MIGRATE_KEY_TAKEN, /* the peer has it */
};

struct migrate_key {
    struct key key;
    enum migrate_key_state state;
};

enum migrate_phase {
    MIGRATE_LOOK,     /* which keys are there */
    MIGRATE_SETTLE,   /* a grace period */
    MIGRATE_CONNECT,  /* a link, and its handshake */
    MIGRATE_TRANSFER, /* sending and reading */
    MIGRATE_FORGET,   /* the keys that were taken are deleted */
    MIGRATE_REPLY,
};

struct migrate {
    struct job job;
    struct mail mail; /* "granted", by whoever let the claim in */
    struct claim *claim;
    bool granted;   /* the claim is ours */
    bool cancelled; /* the client has gone, the mail is still under way */
    /* What was asked for; in block. */
    uint8_t *block;
    struct slice user, password; /* data NULL: none */
    bool has_address, copy, replace;
    uint8_t address[16];
    uint16_t port;
    int64_t database;
    uint64_t timeout_us;
    struct migrate_key *keys;
    uint32_t key_count;
    /* The way. */
    enum migrate_phase phase;
    uint32_t next;  /* key to look at, send or delete */
    uint32_t found; /* keys that are there */
    struct qsbr_grace *grace;
    struct migrate_link *link;
    uint64_t deadline_us;
    bool retried;
    bool greeted, selects; /* AUTH and SELECT were sent; SELECT was among them */
    bool encoding;         /* payload belongs to keys[next] */
    struct dump_payload payload;
    int64_t expiry_ms;
    uint32_t greetings_due; /* replies to AUTH and SELECT still to come */
    uint32_t reply_next;    /* the key that the next reply is about */
    bool any_reply;
    bool spoilt;                       /* AUTH or SELECT was refused: no key is taken */
    bool opened;                       /* the claim shows its changes */
    char error[MIGRATE_LINE_MAX + 64]; /* what the client is told; empty: +OK */
};

/* ---- migrate_transfer.c: the part that talks to the other node ---- */
enum migrate_step { MIGRATE_AGAIN, MIGRATE_WAIT, MIGRATE_NEXT /* the phase is over */ };
enum migrate_step migrate_connect(struct migrate *m);
enum migrate_step migrate_transfer(struct migrate *m);
/* Gives up what is under way of sending. */
void migrate_transfer_end(struct migrate *m);
