#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "unix_pump.h"

#define LISTEN_BACKLOG 511

static int refuse(char *err, size_t err_size, const char *path, const char *why)
{
    snprintf(err, err_size, "can't listen on unixsocket '%.108s': %s", path, why);
    return -1;
}

/* Whether somebody answers there. */
static bool is_listened_on(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

/* Makes room for the socket file; NULL, or why not. */
static const char *remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(file.st_mode))
        return "a file with that name exists and is no socket";
    if (is_listened_on(address))
        return "another process listens there";
    return unlink(address->sun_path) == 0 || errno == ENOENT ? NULL : strerror(errno);
}

int unix_listen(const char *path, unsigned permissions, char *err, size_t err_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return refuse(err, err_size, path, "the path is longer than 107 bytes");
    strcpy(address.sun_path, path);
    const char *why = remove_stale(&address);
    if (why)
        return refuse(err, err_size, path, why);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse(err, err_size, path, strerror(errno));
    /* Before bind, so that the file is never more open than it is meant to be; after it, since the
     * umask narrows what bind makes. */
    bool done = (permissions == 0 || fchmod(fd, (mode_t)permissions) == 0) &&
                bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                (permissions == 0 || chmod(path, (mode_t)permissions) == 0) &&
                listen(fd, LISTEN_BACKLOG) == 0;
    if (done)
        return fd;
    refuse(err, err_size, path, strerror(errno));
    close(fd);
    return -1;
}
