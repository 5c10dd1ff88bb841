/* Programmer errors abort loudly; peer and operator input never goes through these. */
#pragma once
#include <stddef.h>

/* Prints "file:line: expr" to stderr and aborts. Any thread. */
_Noreturn void check_failed(const char *file, int line, const char *expr);

#define CHECK(expr)                                  \
    do {                                             \
        if (__builtin_expect(!(expr), 0))            \
            check_failed(__FILE__, __LINE__, #expr); \
    } while (0)

/* For hot paths: checked in sanitizer and debug builds only. */
#if defined(SW_SANITIZE) || !defined(__OPTIMIZE__)
#define CHECK_DEBUG(expr) CHECK(expr)
#else
#define CHECK_DEBUG(expr) ((void)0)
#endif

#define likely_true(x) __builtin_expect(!!(x), 1)
#define likely_false(x) __builtin_expect(!!(x), 0)
#define CACHE_LINE 64
#define container_from(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define count_of(array) (sizeof(array) / sizeof((array)[0]))
