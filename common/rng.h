/* xoshiro256** : fast, seeded, one state per thread; not for secrets (use random_secret()). */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, bound), bound > 0; without modulo bias. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Fills from getrandom(2); aborts when the kernel refuses (a node without randomness must not
 * start). */
void random_secret(void *buf, size_t len);
