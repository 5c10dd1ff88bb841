/* What the tests of keyspace/ share: a keyspace with one handle, and a toy aggregate. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "config.h"
#include "ks_internal.h"
#include "qsbr.h"

/* A list of count elements of 16 bytes each; tests count how many live. */
struct toy {
    size_t count;
};
extern int toys_alive;
struct toy *toy_new(size_t count);

/* All types but strings are toys. */
extern const struct object_ops *const toy_ops[OBJ_TYPES];

struct ks_fixture {
    struct keyspace *k;
    struct ks *ks;
};
/* cmocka set-up and tear-down; *state is the fixture. Tear-down checks that nothing leaked. */
int ks_setup(void **state);
int ks_teardown(void **state);

/* Publishes a configuration with name set to value. */
void test_config(const char *name, const char *value);

/* Key of printf text; its name is valid until the 8th next call. */
struct key test_key(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same in a given slot. */
struct key test_key_in(uint16_t slot, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One command each, under its own lock. */
void test_set(struct ks *ks, struct key key, const char *value, int64_t expiry_ms);
bool test_del(struct ks *ks, struct key key);
/* The value equals; NULL: absent. */
bool test_is(struct ks *ks, struct key key, const char *value);
void test_validate(struct ks *ks, uint16_t slot);
/* Reclaims until nothing is left. */
void test_drain(struct ks *ks);
