/* A node made of nothing but the bus codec, beside stock nodes on the loopback: it answers PING and
 * MEET, and checks that every frame which it receives decodes, and builds again as the same bytes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "bus_codec.h"

#define BUS_PEER_CONNS 16

struct bus_peer_conn {
    int fd; /* 0: free */
    struct bus_framer framer;
};

struct bus_peer {
    struct bus_header header; /* what it says of itself */
    uint8_t slots[BUS_SLOTS_SIZE];
    uint8_t primary[BUS_NAME_SIZE]; /* for header.replica_of */
    const struct bus_gossip *news;  /* one entry in each PONG; NULL: none */
    const char *hostname;           /* NULL: none */
    int listen_fd;
    struct bus_peer_conn conns[BUS_PEER_CONNS];
    uint64_t seen[BUS_TYPE_COUNT]; /* valid frames */
    uint64_t differing, not_ok;    /* frames that must not have been */
    uint64_t hostnames;            /* of others */
    uint64_t auth_epoch;           /* of the last AUTH_REQUEST */
};

/* Listens on port + 10000 of the loopback. name: 40 characters. */
void bus_peer_open(struct bus_peer *p, const char *name, uint16_t port);
void bus_peer_close(struct bus_peer *p);
/* An own link to a node's bus; the index in conns. */
int bus_peer_connect(struct bus_peer *p, uint16_t cport);
/* Header with this type, and what belongs to it, on one of the links. */
void bus_peer_send(struct bus_peer *p, int conn, uint16_t type);
/* Receives and answers for so long. */
void bus_peer_run(struct bus_peer *p, int timeout_ms);
