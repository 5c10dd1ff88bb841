#include "nodes_file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "nodes_conf.h"

struct nodes_file {
    int folder_fd, lock_fd;
    int current_fd;      /* holds the lock of the file itself; -1: there is none yet */
    char path[PATH_MAX]; /* as it was given, for messages */
    char name[NAME_MAX + 1], tmp_name[NAME_MAX + 1], lock_name[NAME_MAX + 1];
};

static bool fail(const struct nodes_file *f, char *err, const char *what)
{
    const char *why = strerror(errno);
    snprintf(err, NODES_FILE_ERROR_SIZE, "%.300s: %s: %s", f->path, what, why);
    return false;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- opening ---- */

static bool name_join(char to[NAME_MAX + 1], const char *name, const char *suffix)
{
    return snprintf(to, NAME_MAX + 1, "%s%s", name, suffix) <= NAME_MAX;
}

static bool split_path(struct nodes_file *f, const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t folder_len = slash ? (size_t)(slash - path) : 0;
    errno = ENAMETOOLONG;
    if (strlen(path) >= PATH_MAX || !name_join(f->name, name, "") ||
        !name_join(f->tmp_name, name, ".tmp") || !name_join(f->lock_name, name, ".lock"))
        return false;
    memcpy(folder, path, folder_len);
    strcpy(folder + folder_len, slash == path ? "/" : folder_len == 0 ? "." : "");
    strcpy(f->path, path);
    errno = EISDIR;
    return name[0] != '\0';
}

/* Exclusive, without waiting. */
static bool lock(struct nodes_file *f, int fd, char *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return fail(f, err, "can't be locked");
    snprintf(err, NODES_FILE_ERROR_SIZE, "%.300s is in use by another node", f->path);
    return false;
}

/* The file itself, if there is one. */
static bool open_current(struct nodes_file *f, char *err)
{
    struct stat st;
    f->current_fd = openat(f->folder_fd, f->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (f->current_fd < 0)
        return errno == ENOENT || fail(f, err, "can't be opened");
    if (fstat(f->current_fd, &st) != 0)
        return fail(f, err, "can't be looked at");
    if (!S_ISREG(st.st_mode)) {
        snprintf(err, NODES_FILE_ERROR_SIZE, "%.300s is not a regular file", f->path);
        return false;
    }
    return lock(f, f->current_fd, err);
}

static bool open_all(struct nodes_file *f, const char *path, char *err)
{
    char folder[PATH_MAX];
    if (!split_path(f, path, folder))
        return fail(f, err, "no name for a file");
    f->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder_fd < 0)
        return fail(f, err, "its folder can't be opened");
    f->lock_fd = openat(f->folder_fd, f->lock_name, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    if (f->lock_fd < 0)
        return fail(f, err, "its lock file can't be opened");
    if (!lock(f, f->lock_fd, err) || !open_current(f, err))
        return false;
    (void)unlinkat(f->folder_fd, f->tmp_name, 0);
    return true;
}

struct nodes_file *nodes_file_open(const char *path, char err[NODES_FILE_ERROR_SIZE])
{
    struct nodes_file *f = calloc(1, sizeof(*f));
    CHECK(f);
    f->folder_fd = f->lock_fd = f->current_fd = -1;
    if (open_all(f, path, err))
        return f;
    nodes_file_close(f);
    return NULL;
}

void nodes_file_close(struct nodes_file *f)
{
    if (!f)
        return;
    close_fd(&f->current_fd);
    close_fd(&f->lock_fd);
    close_fd(&f->folder_fd);
    free(f);
}

/* ---- reading ---- */

bool nodes_file_read(struct nodes_file *f, char **text, size_t *len,
                     char err[NODES_FILE_ERROR_SIZE])
{
    struct stat st;
    *text = NULL;
    *len = 0;
    if (f->current_fd < 0)
        return true;
    if (fstat(f->current_fd, &st) != 0)
        return fail(f, err, "can't be looked at");
    errno = EFBIG;
    if (st.st_size > NODES_CONF_SIZE_MAX)
        return fail(f, err, "can't be read");
    size_t size = (size_t)st.st_size;
    char *data = malloc(size + 1);
    CHECK(data);
    ssize_t got = 0;
    while (*len < size && (got = pread(f->current_fd, data + *len, size - *len, (off_t)*len)) > 0)
        *len += (size_t)got;
    if (*len == size) {
        *text = data;
        return true;
    }
    free(data);
    errno = got < 0 ? errno : EIO;
    return fail(f, err, "can't be read");
}

/* ---- replacing ---- */

static bool write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t done = write(fd, text.data, text.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        text = slice_from(text.data + done, text.len - (size_t)done);
    }
    return true;
}

static bool write_tmp(struct nodes_file *f, struct slice text, char *err)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(f->folder_fd, f->tmp_name, flags, 0644);
    if (fd < 0)
        return fail(f, err, "the temporary file can't be made");
    bool done = true;
    if (!write_all(fd, text))
        done = fail(f, err, "the temporary file can't be written");
    else if (fsync(fd) != 0)
        done = fail(f, err, "the temporary file can't be synced");
    close(fd);
    return done;
}

static bool rename_tmp(struct nodes_file *f, char *err)
{
    /* Open for reading only: a descriptor for writing would keep the file system from becoming
     * read-only. */
    int fd = openat(f->folder_fd, f->tmp_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(f, err, "the temporary file can't be opened");
    if (!lock(f, fd, err)) {
        close(fd);
        return false;
    }
    if (renameat(f->folder_fd, f->tmp_name, f->folder_fd, f->name) != 0) {
        close(fd);
        return fail(f, err, "the temporary file can't be renamed");
    }
    close_fd(&f->current_fd);
    f->current_fd = fd;
    return true;
}

bool nodes_file_replace(struct nodes_file *f, struct slice text, char err[NODES_FILE_ERROR_SIZE])
{
    if (!write_tmp(f, text, err) || !rename_tmp(f, err)) {
        (void)unlinkat(f->folder_fd, f->tmp_name, 0);
        return false;
    }
    return fsync(f->folder_fd) == 0 || fail(f, err, "the folder can't be synced");
}
