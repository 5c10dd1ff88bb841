/* Histories of operations on one set of keys, and the question whether some order of them, in which
 * an operation that had ended before another began comes first, explains every reply:
 * linearisability, decided by the search of Wing and Gong with memoised states (Lowe: Testing for
 * linearizability). */
#pragma once
#include <stdio.h>
#include "model.h"

#define HISTORY_THREADS_MAX MODEL_CLIENTS
#define HISTORY_OPERATIONS_MAX 8 /* of one thread */

struct history {
    struct model start;
    unsigned thread_count;
    unsigned counts[HISTORY_THREADS_MAX];
    struct operation operations[HISTORY_THREADS_MAX][HISTORY_OPERATIONS_MAX];
};

bool history_is_linearisable(const struct history *h);
/* For people: the state at the start, and the operations in the order in which they began. */
void history_print(const struct history *h, FILE *to);
