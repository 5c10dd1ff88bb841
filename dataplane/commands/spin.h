/* A lock for a few stores on data that lcores share rarely (slow log, latency events). The holder
 * may be descheduled on a small machine, so a waiter yields after a while. Sections under it
 * neither allocate nor call out. Memory ordering: acquire on taking, release on giving back. */
#pragma once
#include <sched.h>
#include <stdatomic.h>

struct spin {
    atomic_flag held;
};

static inline void spin_lock(struct spin *s)
{
    for (unsigned tries = 0; atomic_flag_test_and_set_explicit(&s->held, memory_order_acquire);
         tries++) {
        if (tries % 128 == 127)
            sched_yield();
        else
            __builtin_ia32_pause();
    }
}

static inline void spin_unlock(struct spin *s)
{
    atomic_flag_clear_explicit(&s->held, memory_order_release);
}
