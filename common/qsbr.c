#include "qsbr.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <urcu/urcu-qsbr.h>
#include "check.h"

struct qsbr_grace {
    struct rcu_head head;
    _Atomic(bool) done; /* w: liburcu's helper (release), r: the owner (acquire) */
};

/* What liburcu's barriers order, said again where ThreadSanitizer can see it: every exit of a
 * reader joins the word's release sequence before the end of a grace period acquires it, and every
 * start of one releases before a reader that comes later acquires. */
#ifdef SW_SANITIZE
static _Atomic(uint64_t) order_word;

static void order_say(void)
{
    atomic_fetch_add_explicit(&order_word, 1, memory_order_acq_rel);
}
#else
static void order_say(void)
{
}
#endif

void qsbr_register(void)
{
    urcu_qsbr_register_thread();
    order_say();
}

void qsbr_unregister(void)
{
    order_say();
    urcu_qsbr_unregister_thread();
}

void qsbr_quiescent(void)
{
    order_say();
    urcu_qsbr_quiescent_state();
    order_say();
}

void qsbr_offline(void)
{
    order_say();
    urcu_qsbr_thread_offline();
}

void qsbr_online(void)
{
    urcu_qsbr_thread_online();
    order_say();
}

void qsbr_synchronize(void)
{
    order_say();
    urcu_qsbr_synchronize_rcu();
    order_say();
}

static void grace_done(struct rcu_head *head)
{
    struct qsbr_grace *grace = container_from(head, struct qsbr_grace, head);
    order_say();
    atomic_store_explicit(&grace->done, true, memory_order_release);
}

struct qsbr_grace *qsbr_grace_begin(void)
{
    struct qsbr_grace *grace = malloc(sizeof(*grace));
    CHECK(grace);
    atomic_init(&grace->done, false);
    order_say();
    urcu_qsbr_call_rcu(&grace->head, grace_done);
    return grace;
}

bool qsbr_grace_passed(const struct qsbr_grace *grace)
{
    return atomic_load_explicit(&grace->done, memory_order_acquire);
}

void qsbr_grace_free(struct qsbr_grace *grace)
{
    CHECK(qsbr_grace_passed(grace));
    free(grace);
}
