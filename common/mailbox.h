/* Mail between threads: lcores, the control thread, helpers. A mail is a small struct that says
 * what to run on the receiver; the answer is usually the same mail, posted back.
 *
 * An intrusive multi-producer, single-consumer queue (after Vyukov): posting is one atomic exchange
 * and never waits or fails. It has no capacity of its own: every mail belongs to something bounded
 * (a parked session has one; a published message is charged to its target's output limit), so that
 * nothing is dropped and nobody waits. Order: first-in first-out per sender.
 *
 * Memory ordering: post publishes mail->next of the previous tail with release; take reads it with
 * acquire, so all of the sender's writes before mail_post() are visible to run(). The wake flag is
 * Dekker-like, all four accesses seq_cst: the receiver stores sleeping=1, then reads tail; the
 * sender exchanges tail, then reads sleeping. So the sender sees the sleeper or the receiver sees
 * the mail. mailbox_wake() orders writes elsewhere: it and the receiver exchange sleeping, so one
 * of the two reads what the other wrote. (No bare fences: ThreadSanitizer does not know them.) */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mail {
    _Atomic(struct mail *) next;
    /* Runs on the receiving thread; owns the mail from then on (frees it or posts it on). */
    void (*run)(struct mail *mail, void *receiver);
};

struct mailbox {
    _Alignas(64) _Atomic(struct mail *) tail; /* w: senders */
    _Alignas(64) struct mail *head;           /* w: receiver */
    struct mail stub;
    _Alignas(64) _Atomic(uint32_t) sleeping; /* w: receiver, r: senders */
    int event_fd;                            /* readable when woken; -1 until mailbox_init() */
};

/* Creates the eventfd; false (errno set) when that fails. */
bool mailbox_init(struct mailbox *box);
void mailbox_fini(struct mailbox *box);

/* Any thread. Wakes the receiver when it sleeps. */
void mail_post(struct mailbox *box, struct mail *mail);
/* Any thread: wakes the receiver if it sleeps, for what was left elsewhere (a ring, a flag) before
 * this call; the receiver looks there again between mailbox_sleep_begin() and its wait. */
void mailbox_wake(struct mailbox *box);

/* Receiver only: runs at most max mails with receiver as argument; how many ran. A mail whose
 * sender is between its two steps is left for the next call. */
uint32_t mailbox_run(struct mailbox *box, void *receiver, uint32_t max);

/* Receiver only, around a wait: true = nothing is queued, go to sleep on event_fd; false = look
 * again. After waking call mailbox_sleep_end(), which drains the eventfd. */
bool mailbox_sleep_begin(struct mailbox *box);
void mailbox_sleep_end(struct mailbox *box);
