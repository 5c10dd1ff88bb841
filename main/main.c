/* The process from start to end: configuration, background, log, the machine, the control thread,
 * and the same in reverse. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "cluster_host.h"
#include "config.h"
#include "config_apply.h"
#include "config_file.h"
#include "config_trace.h"
#include "control.h"
#include "keyhash.h"
#include "link_stream.h"
#include "log.h"
#include "machine.h"
#include "machine_capture.h"
#include "metrics.h"
#include "process.h"
#include "qsbr.h"
#include "rng.h"
#include "start_guard.h"
#include "unix_pump.h"
#include "unix_stream.h"

#define FILES_BESIDES 1024 /* open files that are not clients of the unix socket */

static const char usage_text[] = "Usage: slotwire [FILE] [--directive value ...]\n"
                                 "       slotwire --test-config FILE [--directive value ...]\n"
                                 "       slotwire --help | --version\n"
                                 "\n"
                                 "FILE has redis.conf's syntax; - is standard input. Directives on "
                                 "the command line override it.\n"
                                 "  slotwire --nic tap:sw0 --ip 10.77.0.1/24\n"
                                 "  slotwire /etc/slotwire.conf --loglevel debug\n"
                                 "\n"
                                 "Directives:\n";

struct run {
    struct machine *machine;
    struct mailbox *lcore_mail[LCORES_MAX];
};

static int fail(const char *text)
{
    fprintf(stderr, "slotwire: %s\n", text);
    return EXIT_FAILURE;
}

/* With the place in the configuration of the directive that text names. */
static int fail_placed(const struct config_trace *trace, const char *text)
{
    char place[CONFIG_PLACE_SIZE], whole[CONFIG_PLACE_SIZE + CONFIG_FILE_ERROR_SIZE];
    snprintf(whole, sizeof(whole), "%s%s", config_trace_place(trace, text, place), text);
    /* Once the log is open, it is told too. */
    if (config_get() != NULL && config_get()->logfile[0] != '\0')
        log_warning("%s", whole);
    return fail(whole);
}

/* ---- configuration ---- */

static void usage_write(void)
{
    fputs(usage_text, stdout);
    for (int i = 0; i < config_option_count(); i++) {
        if (!(config_option_flags(i) & ALIAS))
            printf("  %-28s %s\n", config_option_name(i), config_option_help(i));
    }
}

/* True: the process is done already. */
static bool answer_question(int argc, char **argv)
{
    if (argc != 2)
        return false;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        usage_write();
    else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)
        printf("slotwire %s\n", SLOTWIRE_VERSION);
    else
        return false;
    return true;
}

/* NULL: told already. path: of the file, absolute, or empty. */
static struct config *configuration_read(int argc, char **argv, struct config_trace *trace,
                                         char path[PATH_MAX])
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    bool has_file = argc > 0 && strncmp(argv[0], "--", 2) != 0;
    path[0] = '\0';
    bool loaded = !has_file || config_file_load(config, argv[0], trace, err);
    if (loaded && has_file && strcmp(argv[0], "-") != 0 && realpath(argv[0], path) == NULL)
        path[0] = '\0';
    loaded = loaded && config_args_load(config, argc - has_file, argv + has_file, trace, err);
    if (loaded && config_validate(config, err) && machine_check(config, err))
        return config;
    if (loaded)
        fail_placed(trace, err);
    else
        fprintf(stderr, "%s\n", err);
    config_free(config);
    return NULL;
}

static void note_print(const char *note)
{
    puts(note);
}

static void note_log(const char *note)
{
    log_notice("%s", note);
}

/* ---- what the control thread tells ---- */

static void on_stopping(void *arg, const char *why)
{
    struct run *run = arg;
    if (strcmp(why, "SHUTDOWN") == 0)
        log_warning("User requested shutdown...");
    else
        log_warning("Received %s scheduling shutdown...", why);
    for (unsigned i = 0; i < run->machine->lcore_count; i++)
        lcore_stop(run->machine->lcores[i]);
    machine_capture_stop(run->machine);
}

static bool on_stopped(void *arg)
{
    struct run *run = arg;
    bool stopped = machine_capture_stopped(run->machine);
    for (unsigned i = 0; i < run->machine->lcore_count; i++)
        stopped &= atomic_load_explicit(&run->machine->lcores[i]->stopped, memory_order_acquire);
    return stopped;
}

static void on_tick(void *arg, uint64_t now_us)
{
    struct run *run = arg;
    machine_watch(run->machine, now_us);
}

/* The start is abandoned where it stands: somewhere in machine_build(). */
static void on_left(void *arg, const char *why)
{
    log_warning("Received %s while starting, leaving...", why);
    eal_abandon();
    if (config_get()->unixsocket[0] != '\0')
        unlink(config_get()->unixsocket);
    process_pidfile_remove();
}

/* ---- the machine ---- */

static void report(struct machine *m)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return;
    report_write(m->port, &m->eal, out);
    fclose(out);
    fputs(text, stdout);
    fflush(stdout);
    if (config_get()->logfile[0] != '\0') {
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
            log_notice("%s", line);
    }
    free(text);
}

static void machine_name_files(struct machine *m, const char *config_path)
{
    ssize_t len = readlink("/proc/self/exe", m->node.executable, sizeof(m->node.executable) - 1);
    m->node.executable[len > 0 ? len : 0] = '\0';
    snprintf(m->node.config_file, sizeof(m->node.config_file), "%s", config_path);
}

static int machine_run(struct machine *m, struct control *control, struct run *run)
{
    report(m);
    for (unsigned i = 0; i < m->lcore_count; i++)
        run->lcore_mail[i] = &m->lcores[i]->worker.mailbox;
    control_lcores_set(control, run->lcore_mail, m->lcore_count);
    start_guard_end();
    log_notice("Ready to accept connections");
    log_start();
    machine_launch(m);
    process_ready();
    control_run(control);
    if (on_stopped(run)) {
        machine_halt(m);
        return EXIT_SUCCESS;
    }
    /* Nothing may be freed under a thread that still runs. */
    log_warning("An lcore, or the disk of a packet capture, did not end in time: leaving without");
    process_pidfile_remove();
    log_close();
    _exit(EXIT_FAILURE);
}

static void secrets_set(void)
{
    uint64_t seed;
    random_secret(&seed, sizeof(seed));
    key_hash_seed_set(seed);
}

static int node_run(const char *config_path, struct config_trace *trace)
{
    static struct machine machine;
    static struct run run = {.machine = &machine};
    static struct cluster_seat seat = {.machine = &machine};
    char err[MACHINE_ERROR_SIZE];
    bool clustered = config_get()->cluster_enabled;
    struct cluster_host host = clustered ? cluster_host_make(&seat) : (struct cluster_host){0};
    struct control_options options = {.config_path = config_path,
                                      .unix_lcore_run = unix_stream_mail,
                                      .link_lcore_run = link_stream_mail,
                                      .stopping = on_stopping,
                                      .stopped = on_stopped,
                                      .tick = on_tick,
                                      .cluster = clustered ? &host : NULL,
                                      .arg = &run,
                                      .capture = &machine_capture_ops,
                                      .capture_arg = &machine};
    struct control *control = control_new(&options, err);
    if (control == NULL)
        return fail_placed(trace, err);
    cluster_seat_connect(&seat, control);
    machine_name_files(&machine, config_path);
    int status = EXIT_FAILURE;
    if (start_guard_begin(on_left, NULL, err, sizeof(err)) &&
        machine_build(&machine, control_mailbox(control), err))
        status = machine_run(&machine, control, &run);
    else
        fail_placed(trace, err);
    start_guard_end();
    /* Its lcores' last mail goes to the control thread's mailbox. */
    if (status == EXIT_SUCCESS)
        machine_destroy(&machine);
    control_free(control);
    return status;
}

/* From the process's set-up on: what the configuration names is made, and removed in the end. */
static int process_run(struct config *config, const char *path, struct config_trace *trace)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    process_files_limit(UNIX_CLIENTS_MAX + FILES_BESIDES);
    clock_init();
    metrics_attach(LCORES_MAX - 1);
    config_publish(config);
    secrets_set();
    config_trace_notes(trace, note_log);
    if (!process_pidfile_write(config->pidfile, err, sizeof(err)))
        return fail_placed(trace, err);
    qsbr_register();
    int status = node_run(path, trace);
    process_pidfile_remove();
    if (status == EXIT_SUCCESS)
        log_notice("slotwire is now ready to exit, bye bye...");
    log_close();
    return status;
}

static int config_run(int argc, char **argv, bool test_only, struct config_trace *trace)
{
    char path[PATH_MAX];
    char err[CONFIG_APPLY_ERROR_SIZE];
    struct config *config = configuration_read(argc, argv, trace, path);
    if (config == NULL)
        return EXIT_FAILURE;
    if (test_only) {
        config_trace_notes(trace, note_print);
        puts("The configuration is fine.");
        config_free(config);
        return EXIT_SUCCESS;
    }
    if ((config->daemonize && !process_background(err, sizeof(err))) ||
        !config_apply_boot(config, err)) {
        config_free(config);
        return fail_placed(trace, err);
    }
    return process_run(config, path, trace);
}

int main(int argc, char **argv)
{
    control_signals_setup();
    if (answer_question(argc, argv))
        return EXIT_SUCCESS;
    bool test_only = argc > 1 && strcmp(argv[1], "--test-config") == 0;
    struct config_trace *trace = config_trace_new();
    int status = config_run(argc - 1 - test_only, argv + 1 + test_only, test_only, trace);
    config_trace_free(trace);
    return status;
}
