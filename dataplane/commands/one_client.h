/* What tests of a family of commands begin with: a node of one lcore and a client for each test.
 * Included once, by the test itself. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "test_node.h"

static struct test_node *node;
static struct test_client *client;

static int setup(void **state)
{
    node = test_node_new(1);
    client = test_connect(node, 0);
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    return 0;
}

/* One command, inline, and its whole reply. */
#define SAYS(text, want) TEST_SAYS(client, text "\r\n", want)

#define OK "+OK\r\n"
#define NIL "$-1\r\n"
#define ONE(a) "$1\r\n" a "\r\n"
#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
