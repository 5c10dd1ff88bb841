#include "rates.h"

static const enum metric_id rate_metric[RATES] = {
    [RATE_COMMANDS] = METRIC_commands_processed,
    [RATE_INPUT_BYTES] = METRIC_net_input_bytes,
    [RATE_OUTPUT_BYTES] = METRIC_net_output_bytes,
};

/* w: the control thread. */
static struct {
    uint64_t last_us;
    uint64_t last_count[RATES];
    uint64_t sample[RATES][RATE_SAMPLES];
    unsigned next;
} rates;

static _Atomic(uint64_t) rate_now[RATES]; /* w: control, r: any (relaxed) */

void rates_sample(uint64_t now_us)
{
    uint64_t elapsed_us = now_us - rates.last_us;
    if (elapsed_us == 0)
        return;
    for (int r = 0; r < RATES; r++) {
        uint64_t count = metric_sum(rate_metric[r]);
        /* A reset of the statistics takes counters back. */
        uint64_t grown = count >= rates.last_count[r] ? count - rates.last_count[r] : 0;
        uint64_t sum = 0;
        rates.last_count[r] = count;
        rates.sample[r][rates.next] = rates.last_us == 0 ? 0 : grown * 1000000 / elapsed_us;
        for (int i = 0; i < RATE_SAMPLES; i++)
            sum += rates.sample[r][i];
        atomic_store_explicit(&rate_now[r], sum / RATE_SAMPLES, memory_order_relaxed);
    }
    rates.last_us = now_us;
    rates.next = (rates.next + 1) % RATE_SAMPLES;
}

uint64_t rate_per_second(enum rate rate)
{
    return atomic_load_explicit(&rate_now[rate], memory_order_relaxed);
}
