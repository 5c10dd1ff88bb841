/* What is read as a number is written back the same way, and nothing is read beyond its slice. */
#include <math.h>
#include <stdlib.h>
#include "check.h"
#include "numbers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_integers(struct slice s)
{
    char buf[NUMBER_TEXT_SIZE];
    int64_t i;
    if (parse_i64(s, &i))
        CHECK(slice_equal(s, slice_from(buf, format_i64(buf, i))));
    uint64_t u;
    if (parse_u64(s, &u))
        CHECK(slice_equal(s, slice_from(buf, format_u64(buf, u))));
}

static void check_floats(struct slice s)
{
    static char buf[LONG_DOUBLE_TEXT_SIZE];
    double d, again;
    if (parse_double(s, &d)) {
        CHECK(!isnan(d));
        CHECK(parse_double(slice_from(buf, format_double(buf, d)), &again));
        CHECK(d == again);
    }
    long double ld, ld_again;
    if (parse_long_double(s, &ld)) {
        size_t len = format_long_double_human(buf, ld);
        CHECK(len > 0);
        CHECK(len < sizeof(buf));
        CHECK(isinf(ld) || parse_long_double(slice_from(buf, len), &ld_again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly this size, so that AddressSanitizer sees any byte too many. */
    uint8_t *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, data, size);
    struct slice s = slice_from(copy, size);
    check_integers(s);
    check_floats(s);
    uint64_t bytes;
    if (parse_memory(s, &bytes))
        CHECK(size > 0);
    free(copy);
    return 0;
}
