#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include "mailbox.h"
#include "check.h"

struct letter {
    struct mail mail;
    uint32_t sender;
    uint32_t number;
};

struct seen {
    uint32_t count;
    uint32_t numbers[16];
};

static void note(struct mail *mail, void *receiver)
{
    struct letter *letter = container_from(mail, struct letter, mail);
    struct seen *seen = receiver;
    seen->numbers[seen->count++] = letter->number;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void test_order_and_limit(void **state)
{
    struct mailbox box;
    assert_true(mailbox_init(&box));
    struct seen seen = {0};
    struct letter letters[5];
    assert_int_equal(mailbox_run(&box, &seen, 10), 0);
    for (uint32_t i = 0; i < 5; i++) {
        letters[i] = (struct letter){.mail.run = note, .number = i};
        mail_post(&box, &letters[i].mail);
    }
    assert_int_equal(mailbox_run(&box, &seen, 2), 2);
    assert_int_equal(mailbox_run(&box, &seen, 10), 3);
    assert_int_equal(mailbox_run(&box, &seen, 10), 0);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(seen.numbers[i], i);
    /* Posting the same mail again is how answers come back. */
    mail_post(&box, &letters[3].mail);
    assert_int_equal(mailbox_run(&box, &seen, 10), 1);
    assert_int_equal(seen.numbers[5], 3);
    mailbox_fini(&box);
}

static void repost(struct mail *mail, void *receiver)
{
    mail_post(receiver, mail);
}

static void test_mail_may_be_posted_from_run(void **state)
{
    struct mailbox box;
    assert_true(mailbox_init(&box));
    struct letter letter = {.mail.run = repost};
    mail_post(&box, &letter.mail);
    assert_int_equal(mailbox_run(&box, &box, 7), 7);
    mailbox_fini(&box);
}

static void test_sleep_only_when_empty(void **state)
{
    struct mailbox box;
    assert_true(mailbox_init(&box));
    struct seen seen = {0};
    struct letter letter = {.mail.run = note};
    mail_post(&box, &letter.mail);
    assert_false(is_readable(box.event_fd));
    assert_false(mailbox_sleep_begin(&box));
    assert_int_equal(mailbox_run(&box, &seen, 10), 1);
    assert_true(mailbox_sleep_begin(&box));
    mail_post(&box, &letter.mail);
    assert_true(is_readable(box.event_fd));
    mailbox_sleep_end(&box);
    assert_false(is_readable(box.event_fd));
    assert_int_equal(mailbox_run(&box, &seen, 10), 1);
    mailbox_fini(&box);
}

#define SENDERS 4
#define LETTERS 20000

struct race {
    struct mailbox box;
    uint32_t next[SENDERS]; /* receiver only: the number expected from each sender */
    uint32_t received;
};

struct race_sender {
    struct race *race;
    uint32_t id;
};

static void take_letter(struct mail *mail, void *receiver)
{
    struct race *race = receiver;
    struct letter *letter = container_from(mail, struct letter, mail);
    CHECK(letter->number == race->next[letter->sender]);
    race->next[letter->sender]++;
    race->received++;
    free(letter);
}

static void *send_letters(void *arg)
{
    struct race_sender *sender = arg;
    for (uint32_t i = 0; i < LETTERS; i++) {
        struct letter *letter = malloc(sizeof(*letter));
        CHECK(letter);
        *letter = (struct letter){.mail.run = take_letter, .sender = sender->id, .number = i};
        mail_post(&sender->race->box, &letter->mail);
        if (i % 1024 == 0)
            sched_yield();
    }
    return NULL;
}

/* Nothing lost, each sender's order kept, no wake-up missed: a lost wake-up hangs the poll, which
 * the test's time limit reports. */
static void test_race_of_many_senders(void **state)
{
    static struct race race;
    assert_true(mailbox_init(&race.box));
    pthread_t threads[SENDERS];
    struct race_sender senders[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct race_sender){&race, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &senders[i]), 0);
    }
    while (race.received < SENDERS * LETTERS) {
        if (mailbox_run(&race.box, &race, 64) > 0)
            continue;
        if (!mailbox_sleep_begin(&race.box))
            continue;
        struct pollfd p = {.fd = race.box.event_fd, .events = POLLIN};
        poll(&p, 1, -1);
        mailbox_sleep_end(&race.box);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(race.next[i], LETTERS);
    }
    assert_int_equal(mailbox_run(&race.box, &race, 1), 0);
    mailbox_fini(&race.box);
}

/* A flag beside the mailbox, as a ring of packets would be. */
struct flag_race {
    struct mailbox box;
    _Atomic(uint32_t) raised;
};

static void *raise_flags(void *arg)
{
    struct flag_race *race = arg;
    for (uint32_t i = 0; i < LETTERS; i++) {
        atomic_fetch_add_explicit(&race->raised, 1, memory_order_relaxed);
        mailbox_wake(&race->box);
    }
    return NULL;
}

static void test_race_of_wake_without_mail(void **state)
{
    static struct flag_race race;
    assert_true(mailbox_init(&race.box));
    pthread_t threads[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, raise_flags, &race), 0);
    uint32_t seen = 0;
    while (seen < SENDERS * LETTERS) {
        assert_true(mailbox_sleep_begin(&race.box));
        uint32_t raised = atomic_load_explicit(&race.raised, memory_order_relaxed);
        if (raised == seen) {
            struct pollfd p = {.fd = race.box.event_fd, .events = POLLIN};
            poll(&p, 1, -1);
        }
        seen = raised;
        mailbox_sleep_end(&race.box);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    mailbox_fini(&race.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_limit),
        cmocka_unit_test(test_mail_may_be_posted_from_run),
        cmocka_unit_test(test_sleep_only_when_empty),
        cmocka_unit_test(test_race_of_many_senders),
        cmocka_unit_test(test_race_of_wake_without_mail),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
