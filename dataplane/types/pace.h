/* How work that may be long lets others run in between: whoever asks for it passes a function that
 * is called after every step, where nothing is half done. A NULL pace: in one go. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct pace {
    void (*step)(void *arg, uint32_t elements); /* so many were looked at since the last call */
    void *arg;
};

static inline void pace_step(const struct pace *pace, uint32_t elements)
{
    if (pace)
        pace->step(pace->arg, elements);
}
