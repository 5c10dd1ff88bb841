/* Two threads pump numbered bytes both ways over many links, which both sides end when they like:
 * every link must be freed (the sanitizers tell), and nothing may arrive out of order. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "rng.h"
#include "unix_mail.h"

#define LINKS 3000
#define OPEN_MAX 32

struct side {
    struct mailbox box;
    struct rng rng;
    uint32_t finished;
};

/* One side's view of one link. */
struct end {
    struct side *side;
    uint8_t send_next, take_next;
    uint32_t rounds; /* buffers until this side ends */
    bool ended, peer_ended;
};

static struct side control, lcore;

static struct end *end_new(struct side *side)
{
    struct end *end = calloc(1, sizeof(*end));
    CHECK(end);
    end->side = side;
    end->rounds = (uint32_t)rng_below(&side->rng, 6);
    return end;
}

static void fill(struct end *end, struct unix_buffer *buffer)
{
    buffer->len = 1 + rng_below(&end->side->rng, 50);
    for (size_t i = 0; i < buffer->len; i++)
        buffer->data[i] = end->send_next++;
}

static void take(struct end *end, const struct unix_buffer *buffer)
{
    CHECK(buffer->len > 0);
    for (size_t i = 0; i < buffer->len; i++)
        CHECK(buffer->data[i] == end->take_next++);
}

static void end_finish(struct end *end, struct unix_link *link)
{
    if (!end->ended || !end->peer_ended)
        return;
    end->side->finished++;
    free(end);
    unix_link_finish(link);
}

/* ---- control ---- */

static void control_end(struct end *end, struct unix_link *link)
{
    if (!end->ended)
        unix_mail_post_lcore(&link->end_control);
    end->ended = true;
}

static void control_run(struct unix_link *link, struct unix_mail *mail, void *receiver)
{
    struct end *end = link->control_state;
    CHECK(receiver == &control);
    CHECK(!end->peer_ended);
    if (mail == &link->end_lcore) {
        end->peer_ended = true;
        control_end(end, link);
    } else if (end->ended) {
        return;
    } else if (end->rounds-- == 0) {
        control_end(end, link);
    } else if (mail == &link->in.mail) {
        fill(end, &link->in);
        unix_mail_post_lcore(mail);
    } else {
        take(end, &link->out);
        unix_mail_post_lcore(mail);
    }
    end_finish(end, link);
}

/* ---- lcore ---- */

static void lcore_end(struct end *end, struct unix_link *link)
{
    if (!end->ended)
        unix_mail_post_control(&link->end_lcore);
    end->ended = true;
}

static void lcore_run(struct unix_link *link, struct unix_mail *mail, void *receiver)
{
    struct end *end = link->lcore_state;
    CHECK(receiver == &lcore);
    if (mail == &link->open) {
        end = link->lcore_state = end_new(&lcore);
        fill(end, &link->out);
        unix_mail_post_control(&link->out.mail);
        return;
    }
    CHECK(!end->peer_ended);
    if (mail == &link->end_control) {
        end->peer_ended = true;
        lcore_end(end, link);
    } else if (end->ended) {
        return;
    } else if (end->rounds-- == 0) {
        lcore_end(end, link);
    } else if (mail == &link->out.mail) {
        fill(end, &link->out);
        unix_mail_post_control(mail);
    } else {
        take(end, &link->in);
        unix_mail_post_control(mail);
    }
    end_finish(end, link);
}

static void link_open(void)
{
    struct unix_link *link = unix_link_new();
    CHECK(link);
    struct end *end = end_new(&control);
    link->control = &control.box;
    link->lcore = &lcore.box;
    link->control_run = control_run;
    link->lcore_run = lcore_run;
    link->control_state = end;
    unix_mail_post_lcore(&link->open);
    fill(end, &link->in);
    unix_mail_post_lcore(&link->in.mail);
}

static void side_wait(struct side *side)
{
    if (mailbox_sleep_begin(&side->box)) {
        struct pollfd p = {.fd = side->box.event_fd, .events = POLLIN};
        poll(&p, 1, -1);
    }
    mailbox_sleep_end(&side->box);
}

static void *lcore_loop(void *arg)
{
    while (lcore.finished < LINKS) {
        if (mailbox_run(&lcore.box, &lcore, 16) == 0)
            side_wait(&lcore);
    }
    return NULL;
}

static void test_both_sides_end_when_they_like(void **state)
{
    pthread_t thread;
    uint32_t opened = 0;
    rng_seed(&control.rng, 1);
    rng_seed(&lcore.rng, 2);
    assert_true(mailbox_init(&control.box));
    assert_true(mailbox_init(&lcore.box));
    assert_int_equal(pthread_create(&thread, NULL, lcore_loop, NULL), 0);
    while (control.finished < LINKS) {
        for (; opened < LINKS && opened < control.finished + OPEN_MAX; opened++)
            link_open();
        if (mailbox_run(&control.box, &control, 16) == 0)
            side_wait(&control);
    }
    pthread_join(thread, NULL);
    assert_int_equal(lcore.finished, LINKS);
    mailbox_fini(&control.box);
    mailbox_fini(&lcore.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_end_when_they_like),
    };
    return cmocka_run_group_tests_name("unix_mail", tests, NULL, NULL);
}
