#include "eal_folders.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <rte_eal.h>

#define TELEMETRY_SOCKET "dpdk_telemetry.v2"

void eal_folder_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(path);
}

/* A process of another pid namespace may share the directory: its telemetry answers. */
static bool telemetry_answers(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" TELEMETRY_SOCKET, folder);
    if (len < 0 || (size_t)len >= sizeof(address.sun_path))
        return true; /* cannot be asked: left alone */
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    close(fd);
    return error != ENOENT && error != ECONNREFUSED;
}

static bool folder_dead(const char *parent, const char *name, char *path)
{
    const size_t prefix = sizeof(EAL_PREFIX) - 1;
    if (strncmp(name, EAL_PREFIX, prefix) != 0 || name[prefix] < '1' || name[prefix] > '9')
        return false;
    char *end;
    long pid = strtol(name + prefix, &end, 10);
    if (*end != '\0' || pid > INT_MAX || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
        return false;
    int len = snprintf(path, PATH_MAX, "%s/%s", parent, name);
    return len > 0 && len < PATH_MAX && !telemetry_answers(path);
}

void eal_folders_sweep(void)
{
    char parent[PATH_MAX];
    char path[PATH_MAX];
    snprintf(parent, sizeof(parent), "%s", rte_eal_get_runtime_dir());
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    DIR *dir = opendir(parent);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (folder_dead(parent, entry->d_name, path))
            eal_folder_remove(path);
    closedir(dir);
}
