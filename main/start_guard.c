#include "start_guard.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct {
    bool begun;
    pthread_t thread;
    int signal_fd, end_fd;
    void (*leave)(void *arg, const char *why);
    void *arg;
} guard = {.signal_fd = -1, .end_fd = -1};

static void *guard_main(void *arg)
{
    struct signalfd_siginfo info;
    struct pollfd fds[] = {{.fd = guard.signal_fd, .events = POLLIN},
                           {.fd = guard.end_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) <= 0 || fds[1].revents == 0) {
        if (fds[0].revents == 0 || read(guard.signal_fd, &info, sizeof(info)) != sizeof(info))
            continue;
        guard.leave(guard.arg, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
        _exit(0);
    }
    return NULL;
}

static void fds_close(void)
{
    if (guard.signal_fd >= 0)
        close(guard.signal_fd);
    if (guard.end_fd >= 0)
        close(guard.end_fd);
    guard.signal_fd = guard.end_fd = -1;
}

bool start_guard_begin(void (*leave)(void *arg, const char *why), void *arg, char *err,
                       size_t err_size)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    guard.leave = leave;
    guard.arg = arg;
    guard.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    guard.end_fd = eventfd(0, EFD_CLOEXEC);
    int why = guard.signal_fd < 0 || guard.end_fd < 0
                  ? errno
                  : pthread_create(&guard.thread, NULL, guard_main, NULL);
    guard.begun = why == 0;
    if (guard.begun)
        return true;
    fds_close();
    snprintf(err, err_size, "signals can't be watched: %s", strerror(why));
    return false;
}

void start_guard_end(void)
{
    uint64_t one = 1;
    if (!guard.begun)
        return;
    while (write(guard.end_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    pthread_join(guard.thread, NULL);
    fds_close();
    guard.begun = false;
}
