#include "numbers.h"
#include <math.h>
#include <stdio.h>
#include "check.h"

/* Room that format_double() may use, as its contract says. */
#define DOUBLE_TEXT_SIZE 128

size_t format_u64(char *buf, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof(digits);
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + value * 2, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    size_t len = sizeof(digits) - at;
    memcpy(buf, digits + at, len);
    return len;
}

size_t format_i64(char *buf, int64_t value)
{
    if (value >= 0)
        return format_u64(buf, (uint64_t)value);
    buf[0] = '-';
    return 1 + format_u64(buf + 1, 0 - (uint64_t)value);
}

static size_t format_infinity(char *buf, bool negative)
{
    const char *text = negative ? "-inf" : "inf";
    size_t len = strlen(text);
    memcpy(buf, text, len);
    return len;
}

size_t format_double(char *buf, double value)
{
    if (isinf(value))
        return format_infinity(buf, value < 0);
    /* Seventeen digits print every integer below 10^17 in full: the usual scores take the short
     * way. Zero goes the long way for the sake of "-0". */
    if (value > -1e15 && value < 1e15 && value != 0 && value == (double)(int64_t)value)
        return format_i64(buf, (int64_t)value);
    int len = snprintf(buf, DOUBLE_TEXT_SIZE, "%.17g", value);
    CHECK(len > 0);
    CHECK(len < DOUBLE_TEXT_SIZE);
    return (size_t)len;
}

size_t format_long_double_human(char *buf, long double value)
{
    if (isinf(value))
        return format_infinity(buf, value < 0);
    int printed = snprintf(buf, LONG_DOUBLE_TEXT_SIZE, "%.17Lf", value);
    CHECK(printed > 0);
    CHECK(printed < LONG_DOUBLE_TEXT_SIZE);
    size_t len = (size_t)printed;
    if (memchr(buf, '.', len)) {
        while (buf[len - 1] == '0')
            len--;
        if (buf[len - 1] == '.')
            len--;
    }
    if (len == 2 && buf[0] == '-' && buf[1] == '0') {
        buf[0] = '0';
        len = 1;
    }
    return len;
}
