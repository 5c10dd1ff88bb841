/* The fuzzer's target on seeded random input, so that its checks run in every test. */
#include "test_cmocka.h"
#include <stdio.h>
#include <stdlib.h>
#include "rng.h"
#include "tcp_fuzz.h"

static void test_random_sequences(void **state)
{
    static uint8_t bytes[4000];
    const char *from = getenv("TCP_FUZZ_SEED"), *rounds = getenv("TCP_FUZZ_ROUNDS");
    uint64_t seed = from ? strtoull(from, NULL, 10) : 1;
    uint64_t end = seed + (rounds                    ? strtoull(rounds, NULL, 10)
                           : getenv("SLOTWIRE_LONG") ? 100000
                                                     : 1500);
    for (; seed < end; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        size_t len = 100 + rng_below(&rng, sizeof(bytes) - 100);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(rng_below(&rng, 3) ? rng_next(&rng) : rng_below(&rng, 16));
        if (from)
            print_message("seed %llu\n", (unsigned long long)seed);
        LLVMFuzzerTestOneInput(bytes, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_sequences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
