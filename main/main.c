/* Interim entry: directives from the command line only. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "keyhash.h"
#include "log.h"
#include "machine.h"
#include "metrics.h"
#include "qsbr.h"
#include "rng.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    stop = 1;
}

int main(int argc, char **argv)
{
    struct config *c = config_new();
    char err[MACHINE_ERROR_SIZE];
    for (int i = 1; i + 1 < argc; i += 2) {
        struct slice word = slice_str(argv[i + 1]);
        if (!config_set(c, slice_str(argv[i] + 2), &word, 1, true, err)) {
            fprintf(stderr, "%s: %s\n", argv[i], err);
            return 1;
        }
    }
    clock_init();
    log_open(c->logfile, (enum log_level)c->loglevel);
    metrics_attach(LCORES_MAX - 1);
    qsbr_register();
    config_publish(c);
    uint64_t seed;
    random_secret(&seed, sizeof(seed));
    key_hash_seed_set(seed);
    static struct machine m;
    static struct mailbox control;
    mailbox_init(&control);
    if (!machine_build(&m, &control, err)) {
        fprintf(stderr, "slotwire: %s\n", err);
        return 1;
    }
    report_write(m.port, &m.eal, stdout);
    fflush(stdout);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    log_start();
    machine_launch(&m);
    while (!stop) {
        usleep(100000);
        mailbox_run(&control, NULL, 100);
        qsbr_quiescent();
        log_pump();
        machine_watch(&m, clock_now_us());
    }
    machine_halt(&m);
    machine_destroy(&m);
    return 0;
}
