/* Numbers as Redis reads and writes them. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "slice.h"

/* Strict: optional '-', no '+', no leading zeros or blanks, no "-0", whole slice; as string2ll. */
bool parse_i64(struct slice s, int64_t *out);
bool parse_u64(struct slice s, uint64_t *out);
/* As Redis' string2ld/getDoubleFromObject: strtod on the whole slice, no leading blank, no NaN;
 * "inf" and "-inf" accepted. */
bool parse_double(struct slice s, double *out);
bool parse_long_double(struct slice s, long double *out);

#define NUMBER_TEXT_SIZE 32
/* Writes decimal digits without NUL; the length. buf[NUMBER_TEXT_SIZE]. */
size_t format_i64(char *buf, int64_t value);
size_t format_u64(char *buf, uint64_t value);
/* As Redis replies to doubles: integers without a point, else "%.17g"; "inf"/"-inf". Needs 128
 * bytes. */
size_t format_double(char *buf, double value);
/* As Redis' LD_STR_HUMAN (INCRBYFLOAT): "%.17Lf" without trailing zeros. Needs 5120 bytes. */
#define LONG_DOUBLE_TEXT_SIZE 5120
size_t format_long_double_human(char *buf, long double value);

/* "100mb", "1gb", "12k", "5": bytes as redis.conf has them (k=1000, kb=1024 …). A missing number
 * and one past 64 bits are refused; Redis makes them 0 and wraps. */
bool parse_memory(struct slice s, uint64_t *out_bytes);

/* Redis' glob: * ? [a-c] [^a-c] and \ escapes, odd patterns as Redis 7.0 has them; an empty text
 * matches only the empty pattern. Work: at most pattern times text. */
bool glob_match(struct slice pattern, struct slice text, bool ignore_case);
