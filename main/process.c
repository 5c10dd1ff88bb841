#include "process.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1; /* to the waiting parent */
static char pidfile[PATH_MAX];

static void parent_wait(int fd, pid_t child)
{
    char byte;
    ssize_t got;
    int status = 0;
    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        _exit(0);
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
}

bool process_background(char *err, size_t err_size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(err, err_size, "can't go to the background: %s", strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child < 0) {
        snprintf(err, err_size, "can't go to the background: %s", strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    if (child > 0) {
        close(ends[1]);
        parent_wait(ends[0], child);
    }
    close(ends[0]);
    ready_fd = ends[1];
    setsid();
    return true;
}

void process_ready(void)
{
    if (ready_fd < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    (void)!write(ready_fd, "", 1);
    close(ready_fd);
    ready_fd = -1;
}

void process_files_limit(unsigned files)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= files)
        return;
    limit.rlim_cur = limit.rlim_max < files ? limit.rlim_max : files;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

bool process_pidfile_write(const char *path, char *err, size_t err_size)
{
    if (path[0] == '\0')
        return true;
    FILE *file = fopen(path, "we");
    bool written = file != NULL && fprintf(file, "%d\n", (int)getpid()) > 0;
    if (file != NULL && fclose(file) != 0)
        written = false;
    if (!written) {
        snprintf(err, err_size, "can't write pidfile '%.256s': %s", path, strerror(errno));
        return false;
    }
    if (realpath(path, pidfile) == NULL)
        pidfile[0] = '\0';
    return true;
}

void process_pidfile_remove(void)
{
    if (pidfile[0] != '\0')
        unlink(pidfile);
}
