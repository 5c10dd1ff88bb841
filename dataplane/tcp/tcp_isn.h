/* Keyed hashes of a connection's tuple: initial sequence numbers (RFC 6528), offsets of the
 * timestamp clock (RFC 7323, 5.4), SYN cookies. SipHash-2-4, because these values go to the peer: a
 * fast hash that is not a pseudo-random function would leak its key, and OpenSSL's interface costs
 * an allocation per use, too much for a SYN flood. Pure. */
#pragma once
#include <stdint.h>
#include "flow.h"

/* What the hash is for: the same tuple gives unrelated values. */
enum tcp_hash_use { TCP_HASH_ISN = 1, TCP_HASH_TIMESTAMP = 2, TCP_HASH_COOKIE = 3 };

uint64_t tcp_siphash(const uint8_t key[16], const void *data, uint32_t len);
uint64_t tcp_tuple_hash(const uint8_t key[16], enum tcp_hash_use use,
                        const struct flow_tuple *tuple, uint64_t extra);
/* The 4 us clock of RFC 9293, 3.4.1, plus the tuple's hash. */
uint32_t tcp_isn(const uint8_t key[16], const struct flow_tuple *tuple, uint64_t now_us);
