/* The text of the nic-fault directive. Pure.
 *
 *   loss=1%,dup=0.5%,reorder=5%,delay=10ms,corrupt=0.1%,stall=50ms/1s,seed=7
 *
 * Each at most once, in any order; "" is no fault. Rates are of frames, 0 to 100 % with up to four
 * decimals; times have a unit (us, ms, s) and are at most 60 s. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define FAULT_PPM_ALL 1000000
#define FAULT_ERROR_SIZE 256

struct fault_spec {
    uint32_t loss_ppm;
    uint32_t dup_ppm;
    uint32_t reorder_ppm; /* frames that some later ones overtake */
    uint32_t corrupt_ppm; /* IP frames that get one bit flipped behind the Ethernet header */
    uint64_t delay_us;    /* of every frame */
    uint64_t stall_us;    /* nothing passes during the last stall_us of every stall_period_us */
    uint64_t stall_period_us;
    uint64_t seed; /* same seed, same frames, same times: same faults */
};

/* False: a sentence in err. */
bool fault_spec_parse(const char *text, struct fault_spec *spec, char err[FAULT_ERROR_SIZE]);
bool fault_spec_any(const struct fault_spec *spec);
