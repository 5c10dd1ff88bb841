#include "capture_serve.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "clock.h"
#include "log.h"

#define MS_PER_S 1000

static const char *const state_names[] = {
    [CAPTURE_NONE] = "none",         [CAPTURE_STARTING] = "starting", [CAPTURE_RUNNING] = "running",
    [CAPTURE_STOPPING] = "stopping", [CAPTURE_ENDED] = "ended",       [CAPTURE_FAILED] = "failed",
};

static const char *const end_names[] = {
    [CAPTURE_END_NONE] = "",           [CAPTURE_END_STOPPED] = "stopped",
    [CAPTURE_END_PACKETS] = "packets", [CAPTURE_END_BYTES] = "bytes",
    [CAPTURE_END_SECONDS] = "seconds", [CAPTURE_END_WRITE] = "write error",
};

/* ---- answers ---- */

static void error_set(struct admin_request *request, const char *text)
{
    snprintf(request->error, sizeof(request->error), "ERR %s", text);
}

static void path_answer(struct admin_request *request, const struct capture_status *s)
{
    request->text = strdup(s->path[0] != '\0' ? s->path : s->spec.file);
    CHECK(request->text);
    request->text_len = strlen(request->text);
}

static void spec_print(FILE *out, const struct capture_spec *spec)
{
    fprintf(out, "capture_snaplen:%u\r\ncapture_packets_max:%llu\r\n", spec->snaplen,
            (unsigned long long)spec->packets_max);
    fprintf(out, "capture_bytes_max:%llu\r\ncapture_seconds_max:%u\r\ncapture_queue:%u\r\n",
            (unsigned long long)spec->bytes_max, spec->seconds_max, spec->queue_frames);
}

static void status_answer(struct admin_request *request, const struct capture_status *s)
{
    FILE *out = open_memstream(&request->text, &request->text_len);
    CHECK(out);
    fprintf(out, "capture_state:%s\r\n", state_names[s->state]);
    if (s->state != CAPTURE_NONE) {
        fprintf(out, "capture_file:%s\r\n", s->path[0] != '\0' ? s->path : s->spec.file);
        fprintf(out, "capture_end:%s\r\ncapture_error:%s\r\n", end_names[s->end], s->error);
        fprintf(out, "capture_packets:%llu\r\ncapture_bytes:%llu\r\n",
                (unsigned long long)s->packets, (unsigned long long)s->bytes);
        fprintf(out, "capture_dropped:%llu\r\ncapture_truncated:%llu\r\n",
                (unsigned long long)s->dropped, (unsigned long long)s->truncated);
        fprintf(out, "capture_seconds:%.3f\r\n", (double)s->duration_us / 1e6);
        spec_print(out, &s->spec);
    }
    CHECK(fclose(out) == 0);
}

/* False: not yet. */
static bool answer(struct admin_request *request, const struct capture_status *s)
{
    if (request->kind == ADMIN_CAPTURE_START ? s->state == CAPTURE_STARTING
                                             : capture_active(s->state))
        return false;
    if (request->kind != ADMIN_CAPTURE_START)
        status_answer(request, s);
    else if (s->state == CAPTURE_FAILED)
        error_set(request, s->error);
    else
        path_answer(request, s);
    return true;
}

/* ---- requests ---- */

static enum admin_outcome wait_for_it(struct capture_desk *desk, struct admin_request *request)
{
    request->next = desk->waiting;
    desk->waiting = request;
    return ADMIN_LATER;
}

static enum admin_outcome serve_start(struct capture_desk *desk, struct admin_request *request)
{
    struct capture_spec spec;
    char err[CAPTURE_ERROR_SIZE];
    if (!capture_words_parse(request->words, request->word_count,
                             clock_wall_refresh_ms() / MS_PER_S, &spec, request->error))
        return ADMIN_DONE;
    if (desk->ops->start(desk->arg, &spec, err)) {
        desk->told = CAPTURE_STARTING;
        return wait_for_it(desk, request);
    }
    error_set(request, err);
    return ADMIN_DONE;
}

static enum admin_outcome serve_stop(struct capture_desk *desk, struct admin_request *request)
{
    struct capture_status status;
    desk->ops->status(desk->arg, &status);
    if (!capture_active(status.state)) {
        error_set(request, "no capture is running");
        return ADMIN_DONE;
    }
    desk->ops->stop(desk->arg);
    return wait_for_it(desk, request);
}

enum admin_outcome capture_serve(struct capture_desk *desk, struct admin_request *request)
{
    struct capture_status status;
    if (!desk->ops) {
        error_set(request, "this node cannot capture");
        return ADMIN_DONE;
    }
    switch (request->kind) {
    case ADMIN_CAPTURE_START:
        return serve_start(desk, request);
    case ADMIN_CAPTURE_STOP:
        return serve_stop(desk, request);
    default:
        desk->ops->status(desk->arg, &status);
        status_answer(request, &status);
        return ADMIN_DONE;
    }
}

/* ---- ticks ---- */

static void tell(struct capture_desk *desk, const struct capture_status *s)
{
    bool was_begun = desk->told >= CAPTURE_RUNNING;
    bool begun = s->state >= CAPTURE_RUNNING && s->state != CAPTURE_FAILED;
    if (begun && !was_begun)
        log_notice("Packets are captured into %s", s->path);
    if (s->state == CAPTURE_FAILED)
        log_warning("Packets cannot be captured: %s", s->error);
    if (s->state == CAPTURE_ENDED)
        log_notice("The capture into %s has ended (%s%s%s): %llu packets, %llu dropped", s->path,
                   end_names[s->end], s->error[0] ? ": " : "", s->error,
                   (unsigned long long)s->packets, (unsigned long long)s->dropped);
    desk->told = s->state;
}

void capture_desk_tick(struct capture_desk *desk)
{
    struct capture_status status;
    if (!desk->waiting && !capture_active(desk->told))
        return;
    desk->ops->status(desk->arg, &status);
    if (status.state != desk->told)
        tell(desk, &status);
    struct admin_request *waiting = desk->waiting;
    desk->waiting = NULL;
    while (waiting) {
        struct admin_request *request = waiting;
        waiting = request->next;
        if (answer(request, &status))
            admin_request_answer(request);
        else
            (void)wait_for_it(desk, request);
    }
}

void capture_desk_fini(struct capture_desk *desk)
{
    while (desk->waiting) {
        struct admin_request *request = desk->waiting;
        desk->waiting = request->next;
        admin_request_free(request);
    }
}
