#include "machine_capture.h"
#include "capturer.h"
#include "machine.h"

struct capturer *machine_capturer_new(struct machine *m)
{
    struct capturer_options options = {.hook_count = (int)m->lcore_count,
                                       .port_id = port_device_id(m->port),
                                       .mtu = port_info_get(m->port)->mtu,
                                       .port_name = port_info_get(m->port)->name};
    for (unsigned i = 0; i < m->lcore_count; i++)
        options.hook[i] = port_capture_hook(m->port, (int)i);
    return capturer_new(&options);
}

static bool start(void *arg, const struct capture_spec *spec, char err[CAPTURE_ERROR_SIZE])
{
    struct machine *m = arg;
    return capturer_start(m->capturer, spec, err);
}

static void stop(void *arg)
{
    struct machine *m = arg;
    capturer_stop(m->capturer);
}

static void status(void *arg, struct capture_status *out)
{
    const struct machine *m = arg;
    capturer_status(m->capturer, out);
}

const struct capture_ops machine_capture_ops = {.start = start, .stop = stop, .status = status};

void machine_capture_stop(struct machine *m)
{
    capturer_stop(m->capturer);
}

bool machine_capture_stopped(const struct machine *m)
{
    struct capture_status now;
    capturer_status(m->capturer, &now);
    return !capture_active(now.state);
}
