/* The idle ladder: poll, pause, sleep (design-dataplane, rule 5).
 *
 * An lcore that found nothing to do polls on for a while, then polls with pauses, then sleeps until
 * its port's wake-up, mail, a steered frame or the next timer. Asleep it is RCU-offline. With `idle
 * busy` it never leaves the first step. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lcore.h"

#define IDLE_POLL_US 20  /* plain polling after the last work */
#define IDLE_PAUSE_US 50 /* then polling with pauses */
#define IDLE_SLEEP_MAX_US 100000
#define IDLE_HAND_OVER_US 50000 /* partial batches of retired memory go to RCU this often */

struct idle *idle_new(struct lcore *l); /* NULL: no epoll to be had */
void idle_free(struct idle *i);
/* Called after a round; had_work = it did something. May sleep, at most until lcore_deadline_us().
 */
void idle_step(struct idle *i, bool had_work);
