#include "mailbox.h"
#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "check.h"

bool mailbox_init(struct mailbox *box)
{
    atomic_init(&box->stub.next, NULL);
    box->stub.run = NULL;
    atomic_init(&box->tail, &box->stub);
    box->head = &box->stub;
    atomic_init(&box->sleeping, 0);
    box->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return box->event_fd >= 0;
}

void mailbox_fini(struct mailbox *box)
{
    if (box->event_fd >= 0)
        close(box->event_fd);
    box->event_fd = -1;
}

/* Between the exchange and the store the queue is cut in two; the receiver sees that tail is not
 * the last mail that it can reach, and leaves the rest for its next call. */
static void mailbox_link(struct mailbox *box, struct mail *mail)
{
    atomic_store_explicit(&mail->next, NULL, memory_order_relaxed);
    struct mail *before = atomic_exchange_explicit(&box->tail, mail, memory_order_seq_cst);
    atomic_store_explicit(&before->next, mail, memory_order_release);
}

static void mailbox_ring(struct mailbox *box)
{
    /* Several senders may see the sleeper; one of them writes. */
    if (atomic_exchange_explicit(&box->sleeping, 0, memory_order_acq_rel) == 0)
        return;
    uint64_t one = 1;
    while (write(box->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void mail_post(struct mailbox *box, struct mail *mail)
{
    CHECK_DEBUG(mail->run);
    mailbox_link(box, mail);
    if (likely_false(atomic_load_explicit(&box->sleeping, memory_order_seq_cst)))
        mailbox_ring(box);
}

void mailbox_wake(struct mailbox *box)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (likely_false(atomic_load_explicit(&box->sleeping, memory_order_relaxed)))
        mailbox_ring(box);
}

static struct mail *mailbox_take(struct mailbox *box)
{
    struct mail *head = box->head;
    struct mail *next = atomic_load_explicit(&head->next, memory_order_acquire);
    if (head == &box->stub) {
        if (!next)
            return NULL;
        box->head = next;
        head = next;
        next = atomic_load_explicit(&head->next, memory_order_acquire);
    }
    if (!next) {
        /* head is the last mail, or a sender has not linked its mail yet. The last mail can leave
         * only when something stands behind it: the stub. */
        if (atomic_load_explicit(&box->tail, memory_order_acquire) != head)
            return NULL;
        mailbox_link(box, &box->stub);
        next = atomic_load_explicit(&head->next, memory_order_acquire);
        if (!next)
            return NULL;
    }
    box->head = next;
    return head;
}

uint32_t mailbox_run(struct mailbox *box, void *receiver, uint32_t max)
{
    uint32_t count = 0;
    while (count < max) {
        struct mail *mail = mailbox_take(box);
        if (!mail)
            break;
        mail->run(mail, receiver);
        count++;
    }
    return count;
}

static bool mailbox_is_empty(struct mailbox *box)
{
    return box->head == &box->stub &&
           atomic_load_explicit(&box->tail, memory_order_seq_cst) == &box->stub;
}

/* An exchange, not a store, so that the next sleep's exchange reads from every wake before it. */
static void mailbox_awake(struct mailbox *box)
{
    atomic_exchange_explicit(&box->sleeping, 0, memory_order_acq_rel);
}

bool mailbox_sleep_begin(struct mailbox *box)
{
    atomic_exchange_explicit(&box->sleeping, 1, memory_order_seq_cst);
    if (mailbox_is_empty(box))
        return true;
    mailbox_awake(box);
    return false;
}

void mailbox_sleep_end(struct mailbox *box)
{
    mailbox_awake(box);
    uint64_t count;
    while (read(box->event_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}
