#include "numbers.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "check.h"

bool parse_u64(struct slice s, uint64_t *out)
{
    /* 20 digits hold 2^64 - 1; leading zeros are refused below, so longer is always too large. */
    if (s.len == 0 || s.len > 20)
        return false;
    if (s.data[0] == '0' && s.len > 1)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value))
            return false;
        if (__builtin_add_overflow(value, (uint64_t)(s.data[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool parse_i64(struct slice s, int64_t *out)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    uint64_t value;
    if (!parse_u64(slice_from(s.data + negative, s.len - negative), &value))
        return false;
    if (!negative) {
        if (value > INT64_MAX)
            return false;
        *out = (int64_t)value;
        return true;
    }
    if (value == 0 || value > (uint64_t)INT64_MAX + 1)
        return false;
    *out = (int64_t)(0 - value);
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Redis keeps 5 KB for the text of a long double and refuses longer ones. */
#define FLOAT_TEXT_SIZE 5120

bool parse_long_double(struct slice s, long double *out)
{
    char text[FLOAT_TEXT_SIZE];
    if (s.len == 0 || s.len >= sizeof(text) || is_blank(s.data[0]))
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    char *end;
    errno = 0;
    long double value = strtold(text, &end);
    if ((size_t)(end - text) != s.len || isnan(value))
        return false;
    if (errno == ERANGE && (isinf(value) || value == 0))
        return false;
    *out = value;
    return true;
}

/* strtod needs the NUL that a slice has not; numbers longer than this are rare but legal. */
#define DOUBLE_STACK_SIZE 256

bool parse_double(struct slice s, double *out)
{
    if (s.len == 0 || is_blank(s.data[0]))
        return false;
    char stack[DOUBLE_STACK_SIZE];
    char *text = stack;
    if (s.len >= sizeof(stack)) {
        text = malloc(s.len + 1);
        CHECK(text);
    }
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool whole = (size_t)(end - text) == s.len;
    bool lost = errno == ERANGE && (isinf(value) || value == 0);
    if (text != stack)
        free(text);
    if (!whole || lost || isnan(value))
        return false;
    *out = value;
    return true;
}

bool parse_memory(struct slice s, uint64_t *out_bytes)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {
        {"", 1},        {"b", 1},         {"k", 1000},       {"kb", 1024},
        {"m", 1000000}, {"mb", 1u << 20}, {"g", 1000000000}, {"gb", 1u << 30},
    };
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < s.len && s.data[digits] >= '0' && s.data[digits] <= '9') {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value))
            return false;
        if (__builtin_add_overflow(value, (uint64_t)(s.data[digits] - '0'), &value))
            return false;
        digits++;
    }
    if (digits == 0)
        return false;
    struct slice unit = slice_from(s.data + digits, s.len - digits);
    for (size_t i = 0; i < count_of(units); i++) {
        if (slice_equal_word(unit, units[i].unit))
            return !__builtin_mul_overflow(value, units[i].bytes, out_bytes);
    }
    return false;
}
