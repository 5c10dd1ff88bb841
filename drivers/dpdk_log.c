#include "dpdk_log.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <bpf/libbpf.h>
#include <rte_log.h>
#include <xdp/libxdp.h>
#include "log.h"

#define LINE_SIZE 256

/* DPDK writes through a FILE of ours; the mutex guards what is below, since any thread may log. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool collecting;
static bool have_error;
static char kept[LINE_SIZE];
static char line[LINE_SIZE];
static size_t line_len;

static void line_done(bool error)
{
    line[line_len] = '\0';
    bool empty = line_len == 0;
    line_len = 0;
    if (empty)
        return;
    if (!collecting) {
        if (error)
            log_warning("dpdk: %s", line);
        else
            log_debug("dpdk: %s", line);
        return;
    }
    /* The first error names the cause; those after it tell of its consequences. */
    if (have_error)
        return;
    have_error = error;
    memcpy(kept, line, sizeof(kept));
}

static ssize_t log_write(void *cookie, const char *text, size_t len)
{
    int level = rte_log_cur_msg_loglevel();
    bool error = level > 0 && level <= (int)RTE_LOG_ERR;
    bool worth = level > 0 && level <= (int)RTE_LOG_WARNING;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            if (collecting && !worth)
                line_len = 0;
            line_done(error);
        } else if (line_len < LINE_SIZE - 1) {
            line[line_len++] = text[i];
        }
    }
    pthread_mutex_unlock(&lock);
    return (ssize_t)len;
}

/* af_xdp's libraries print on their own; what matters of it the driver says too. */
static int bpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
    return 0;
}

static int xdp_print(enum libxdp_print_level level, const char *format, va_list args)
{
    return 0;
}

void dpdk_log_start(void)
{
    libbpf_set_print(bpf_print);
    libxdp_set_print(xdp_print);
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_write});
    if (stream == NULL)
        return;
    setvbuf(stream, NULL, _IOLBF, 512);
    rte_openlog_stream(stream);
}

void dpdk_log_collect(void)
{
    pthread_mutex_lock(&lock);
    collecting = true;
    have_error = false;
    kept[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void dpdk_log_collected(char *text, size_t size)
{
    pthread_mutex_lock(&lock);
    collecting = false;
    snprintf(text, size, "%s", kept);
    pthread_mutex_unlock(&lock);
}
