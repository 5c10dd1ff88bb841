#include "histogram.h"

static void histogram_place(uint64_t value, unsigned *power, unsigned *sub)
{
    unsigned bits = value < HISTOGRAM_SUB ? 0 : 58u - (unsigned)__builtin_clzll(value);
    *power = bits < HISTOGRAM_POWERS ? bits : HISTOGRAM_POWERS - 1;
    uint64_t shifted = value >> *power;
    *sub = shifted < HISTOGRAM_SUB ? (unsigned)shifted : HISTOGRAM_SUB - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    unsigned power, sub;
    histogram_place(value, &power, &sub);
    h->bucket[power][sub]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)((double)h->count * percent / 100.0), seen = 0;
    for (unsigned p = 0; p < HISTOGRAM_POWERS; p++) {
        for (unsigned s = 0; s < HISTOGRAM_SUB; s++) {
            seen += h->bucket[p][s];
            if (seen > wanted)
                return (uint64_t)s << p;
        }
    }
    return h->max;
}
