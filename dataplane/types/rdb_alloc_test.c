/* Every allocation of decoding fails once: the outcome is an error or the whole value, and nothing
 * leaks. Files of the fuzzer's form (rdb_value_fuzz.c) are the values. The test puts its own malloc
 * before the allocator's, so it is not built with sanitizers. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "keyhash.h"
#include "rdb_value.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static unsigned countdown; /* 0: nothing fails; n: the n-th allocation from now on */
static bool failed;
static long outstanding;

static bool allocation_fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

void *malloc(size_t size)
{
    if (allocation_fails())
        return NULL;
    outstanding++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (allocation_fails())
        return NULL;
    outstanding++;
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    if (allocation_fails())
        return NULL;
    outstanding += p == NULL;
    return __libc_realloc(p, size);
}

void free(void *p)
{
    outstanding -= p != NULL;
    __libc_free(p);
}

#define INPUT_MAX 65536

/* Low enough that the larger values become tables. */
static const struct type_limits limits = {
    .hash_listpack_entries = 16,
    .hash_listpack_value_bytes = 32,
    .set_intset_entries = 16,
    .list_listpack_size = 8,
};

static enum rdb_result decode(struct slice bytes, size_t step)
{
    struct rdb_decoder d;
    struct rdb_reader r = {.string_max = RDB_STRING_MAX};
    size_t begin = 1, end = step ? 1 : bytes.len;
    enum rdb_result result;
    rdb_decoder_init(&d, bytes.data[0], &limits);
    do {
        r.in = slice_from(bytes.data + begin, end - begin);
        r.last = end == bytes.len;
        r.budget = 1000;
        result = rdb_decoder_step(&d, &r);
        begin = end - r.in.len;
        if (result == RDB_MORE)
            end = step < bytes.len - end ? end + step : bytes.len;
    } while (result == RDB_MORE || result == RDB_PAUSE);
    rdb_decoder_fini(&d);
    return result;
}

static void fail_everywhere(struct slice bytes, size_t step)
{
    long before = outstanding;
    for (unsigned n = 1;; n++) {
        failed = false;
        countdown = n;
        enum rdb_result result = decode(bytes, step);
        countdown = 0;
        CHECK(outstanding == before);
        CHECK(result == RDB_DONE || failed);
        if (!failed)
            return;
        /* A failed look for fields that are there twice cannot be told from one that found some. */
        CHECK(result == RDB_NO_MEMORY || result == RDB_INVALID || result == RDB_DONE);
    }
}

int main(int argc, char **argv)
{
    static uint8_t data[INPUT_MAX];
    key_hash_seed_set(47);
    CHECK(argc > 1);
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        CHECK(file != NULL);
        size_t len = fread(data, 1, INPUT_MAX, file);
        fclose(file);
        CHECK(len > 2);
        fail_everywhere(slice_from(data + 1, len - 1), 0);
        fail_everywhere(slice_from(data + 1, len - 1), 5);
    }
    return 0;
}
