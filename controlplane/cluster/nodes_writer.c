#include "nodes_writer.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "metrics.h"

#define STACK_BYTES 262144

struct save {
    uint64_t ticket;
    char *text;
    size_t len;
};

struct nodes_writer {
    struct nodes_file *file; /* the helper's, from start to stop */
    struct mailbox *control, helper;
    nodes_saved_fn done;
    void *arg;
    pthread_t thread;
    /* The save under way: control -> helper -> control, by work. */
    struct mail work;
    struct save save;
    bool ok;
    char error[NODES_FILE_ERROR_SIZE];
    struct mail end; /* control -> helper, once */
    bool end_seen;   /* helper */
    /* Control. */
    struct save next; /* text NULL: none waits */
    bool busy, stopped;
    uint64_t since_us, now_us; /* now_us: the last that was heard of */
};

/* ---- helper ---- */

static void on_saved(struct mail *mail, void *control);

static void on_work(struct mail *mail, void *helper)
{
    struct nodes_writer *w = helper;
    w->ok = nodes_file_replace(w->file, slice_from(w->save.text, w->save.len), w->error);
    free(w->save.text);
    w->save.text = NULL;
    w->work.run = on_saved;
    mail_post(w->control, &w->work);
}

static void on_end(struct mail *mail, void *helper)
{
    struct nodes_writer *w = helper;
    w->end_seen = true;
}

static void *helper_main(void *arg)
{
    struct nodes_writer *w = arg;
    struct pollfd wake = {.fd = w->helper.event_fd, .events = POLLIN};
    while (!w->end_seen) {
        if (mailbox_run(&w->helper, w, 1) > 0 || !mailbox_sleep_begin(&w->helper))
            continue;
        (void)poll(&wake, 1, -1);
        mailbox_sleep_end(&w->helper);
    }
    return NULL;
}

/* Signals are the control thread's. */
static bool helper_start(struct nodes_writer *w)
{
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&w->thread, &attr, helper_main, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

/* ---- control ---- */

static void work_post(struct nodes_writer *w, struct save save)
{
    w->save = save;
    w->busy = true;
    w->since_us = w->now_us;
    w->work.run = on_work;
    mail_post(&w->helper, &w->work);
}

static void on_saved(struct mail *mail, void *control)
{
    struct nodes_writer *w = container_from(mail, struct nodes_writer, work);
    struct save next = w->next;
    uint64_t ticket = w->save.ticket;
    bool ok = w->ok;
    char error[NODES_FILE_ERROR_SIZE];
    memcpy(error, w->error, sizeof(error));
    w->busy = false;
    w->next = (struct save){0};
    if (w->stopped)
        return;
    metric_inc(nodes_conf_saves);
    if (!ok)
        metric_inc(nodes_conf_save_failures);
    if (next.text)
        work_post(w, next);
    w->done(w->arg, ticket, ok, ok ? "" : error);
}

struct nodes_writer *nodes_writer_start(struct nodes_file *file, struct mailbox *control,
                                        nodes_saved_fn done, void *arg)
{
    struct nodes_writer *w =
        aligned_alloc(CACHE_LINE, (sizeof(*w) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    CHECK(w);
    memset(w, 0, sizeof(*w));
    w->file = file;
    w->control = control;
    w->done = done;
    w->arg = arg;
    if (mailbox_init(&w->helper) && helper_start(w))
        return w;
    mailbox_fini(&w->helper);
    free(w);
    return NULL;
}

void nodes_writer_save(struct nodes_writer *w, uint64_t ticket, char *text, size_t len,
                       uint64_t now_us)
{
    struct save save = {ticket, text, len};
    CHECK(!w->stopped);
    CHECK(text);
    w->now_us = now_us;
    if (!w->busy) {
        work_post(w, save);
        return;
    }
    free(w->next.text);
    w->next = save;
}

uint64_t nodes_writer_waiting_us(const struct nodes_writer *w, uint64_t now_us)
{
    return w->busy ? now_us - w->since_us : 0;
}

void nodes_writer_stop(struct nodes_writer *w)
{
    CHECK(!w->stopped);
    w->stopped = true;
    free(w->next.text);
    w->next = (struct save){0};
    w->end.run = on_end;
    mail_post(&w->helper, &w->end);
}

bool nodes_writer_stopped(struct nodes_writer *w)
{
    return pthread_tryjoin_np(w->thread, NULL) == 0;
}

void nodes_writer_free(struct nodes_writer *w)
{
    mailbox_fini(&w->helper);
    free(w);
}
