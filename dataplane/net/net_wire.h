/* The headers as they stand in a frame, all fields in network byte order. Packed: frames give no
 * alignment. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define WIRE_ETH_LEN 14u
#define WIRE_ICMP_LEN 8u
#define WIRE_TYPE_IP4 0x0800
#define WIRE_TYPE_ARP 0x0806
#define WIRE_TYPE_IP6 0x86dd
#define WIRE_TYPE_VLAN 0x8100
#define WIRE_TYPE_QINQ 0x88a8

static inline uint16_t wire16(uint16_t v)
{
    return __builtin_bswap16(v);
}

static inline uint32_t wire32(uint32_t v)
{
    return __builtin_bswap32(v);
}

struct wire_eth {
    uint8_t dst[6], src[6];
    uint16_t type;
} __attribute__((packed));

struct wire_ip4 {
    uint8_t version_ihl, tos;
    uint16_t total_len, id, fragment;
    uint8_t ttl, proto;
    uint16_t checksum;
    uint32_t src, dst;
} __attribute__((packed));

static inline uint32_t wire_ip4_header_len(const struct wire_ip4 *ip)
{
    return (ip->version_ihl & 15u) * 4u;
}

struct wire_ip6 {
    uint32_t version_class_flow;
    uint16_t payload_len;
    uint8_t proto, hop_limit;
    uint8_t src[16], dst[16];
} __attribute__((packed));

struct wire_ports {
    uint16_t src, dst;
} __attribute__((packed));

struct wire_tcp {
    uint16_t src, dst;
    uint32_t seq, ack;
    uint8_t offset, flags;
    uint16_t window, checksum, urgent;
} __attribute__((packed));

struct wire_arp {
    uint16_t hardware, protocol;
    uint8_t hardware_len, protocol_len;
    uint16_t op;
    uint8_t sender_mac[6];
    uint32_t sender;
    uint8_t target_mac[6];
    uint32_t target;
} __attribute__((packed));

struct wire_icmp {
    uint8_t type, code;
    uint16_t checksum;
    uint32_t rest;
} __attribute__((packed));

enum {
    WIRE_ICMP4_ECHO_REPLY = 0,
    WIRE_ICMP4_UNREACHABLE = 3,
    WIRE_ICMP4_ECHO = 8,
    WIRE_ICMP4_TIME_EXCEEDED = 11,
    WIRE_ICMP4_PARAMETER = 12,
    WIRE_ICMP6_UNREACHABLE = 1,
    WIRE_ICMP6_TOO_BIG = 2,
    WIRE_ICMP6_TIME_EXCEEDED = 3,
    WIRE_ICMP6_PARAMETER = 4,
    WIRE_ICMP6_ECHO = 128,
    WIRE_ICMP6_ECHO_REPLY = 129,
    WIRE_ICMP6_MLD_QUERY = 130,
    WIRE_ICMP6_SOLICITATION = 135,
    WIRE_ICMP6_ADVERTISEMENT = 136,
    WIRE_ICMP6_MLD2_REPORT = 143,
};

/* Errors that quote the packet which caused them. */
static inline bool wire_icmp4_is_error(uint8_t type)
{
    return type == WIRE_ICMP4_UNREACHABLE || type == WIRE_ICMP4_TIME_EXCEEDED ||
           type == WIRE_ICMP4_PARAMETER;
}

static inline bool wire_icmp6_is_error(uint8_t type)
{
    return type >= WIRE_ICMP6_UNREACHABLE && type <= WIRE_ICMP6_PARAMETER;
}
