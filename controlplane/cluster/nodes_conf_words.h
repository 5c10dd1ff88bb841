/* Private to nodes_conf_parse.c and nodes_conf_print.c. */
#pragma once
#include "nodes_conf.h"

/* In the order in which Redis prints them. */
static const struct nodes_conf_flag {
    const char *word;
    uint16_t flag;
} nodes_conf_flags[] = {
    {"myself", BUS_NODE_MYSELF}, {"master", BUS_NODE_MASTER},
    {"slave", BUS_NODE_SLAVE},   {"fail?", BUS_NODE_PFAIL},
    {"fail", BUS_NODE_FAIL},     {"handshake", BUS_NODE_HANDSHAKE},
    {"noaddr", BUS_NODE_NOADDR}, {"nofailover", BUS_NODE_NOFAILOVER},
};
#define NODES_CONF_NO_FLAGS "noflags"
#define NODES_CONF_SHARD_VAR "shard-id:"
#define NODES_CONF_CHECKSUM_DIGITS 16

/* Of the file's text before the digits. */
uint64_t nodes_conf_checksum(struct slice text);
