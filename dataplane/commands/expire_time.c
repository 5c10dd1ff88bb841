#include "expire_time.h"
#include "entry.h"

bool expire_time_resolve(int64_t time, bool seconds, int64_t base_ms, int64_t *when_ms)
{
    if (seconds && __builtin_mul_overflow(time, 1000, &time))
        return false;
    return !__builtin_add_overflow(time, base_ms, when_ms);
}

bool expire_allowed(unsigned conditions, int64_t current_ms, int64_t when_ms)
{
    bool has_one = current_ms != EXPIRY_NONE;
    if ((conditions & EXPIRE_NX) && has_one)
        return false;
    if ((conditions & EXPIRE_XX) && !has_one)
        return false;
    if ((conditions & EXPIRE_GT) && (!has_one || when_ms <= current_ms))
        return false;
    return !((conditions & EXPIRE_LT) && has_one && when_ms >= current_ms);
}

int64_t expire_left(int64_t expiry_ms, int64_t now_ms, bool seconds)
{
    int64_t left_ms = expiry_ms > now_ms ? expiry_ms - now_ms : 0;
    if (!seconds)
        return left_ms;
    return left_ms / 1000 + (left_ms % 1000 >= 500);
}
