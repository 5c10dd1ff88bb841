#include "slot.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "metrics.h"

enum { LOCK_FREE, LOCK_TAKEN, LOCK_WAITED_FOR };

#define SPINS 200
#define YIELDS 20

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool slot_try_lock(_Atomic(uint32_t) *lock)
{
    uint32_t expected = LOCK_FREE;
    return atomic_compare_exchange_strong_explicit(lock, &expected, LOCK_TAKEN,
                                                   memory_order_acquire, memory_order_relaxed);
}

static bool slot_lock_seen_free(_Atomic(uint32_t) *lock)
{
    return atomic_load_explicit(lock, memory_order_relaxed) == LOCK_FREE && slot_try_lock(lock);
}

void slot_lock(_Atomic(uint32_t) *lock)
{
    if (likely_true(slot_try_lock(lock)))
        return;
    for (unsigned i = 0; i < SPINS; i++) {
        pause_cpu();
        if (slot_lock_seen_free(lock))
            return;
    }
    for (unsigned i = 0; i < YIELDS; i++) {
        sched_yield();
        if (slot_lock_seen_free(lock))
            return;
    }
    metric_inc(slot_lock_sleeps);
    /* From here on the lock is taken as waited for: others may sleep, so that giving it up wakes.
     */
    while (atomic_exchange_explicit(lock, LOCK_WAITED_FOR, memory_order_acquire) != LOCK_FREE)
        (void)syscall(SYS_futex, lock, FUTEX_WAIT_PRIVATE, LOCK_WAITED_FOR, NULL, NULL, 0);
}

void slot_unlock(_Atomic(uint32_t) *lock)
{
    if (atomic_exchange_explicit(lock, LOCK_FREE, memory_order_release) == LOCK_WAITED_FOR)
        (void)syscall(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
