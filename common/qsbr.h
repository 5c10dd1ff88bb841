/* liburcu's QSBR flavour, with the one rule that the whole node keeps: every lcore is a registered
 * reader that is quiescent once per loop and offline whenever it waits.
 *
 * A pointer read from shared state (an entry, a segment, the configuration, the cluster view) lives
 * until the reader's next qsbr_quiescent() or qsbr_offline().
 *
 * ThreadSanitizer cannot see liburcu's barriers (Debian builds it without compiler atomics), so
 * sanitizer builds say them again with acquire and release on one shared word. */
#pragma once
#include <stdbool.h>

void qsbr_register(void);
void qsbr_unregister(void);
void qsbr_quiescent(void);
void qsbr_offline(void);
void qsbr_online(void);
/* Waits for a grace period. Control and helper threads only; a registered caller is taken offline
 * meanwhile. */
void qsbr_synchronize(void);

/* One grace period for a batch: done turns true, on liburcu's helper thread, after every reader
 * that was online at qsbr_grace_begin() has been quiescent. The memory must live until then. */
struct qsbr_grace;
struct qsbr_grace *qsbr_grace_begin(void);
/* Acquire: what was unlinked before begin may be freed once this is true. */
bool qsbr_grace_passed(const struct qsbr_grace *grace);
/* Only after it has passed. */
void qsbr_grace_free(struct qsbr_grace *grace);
