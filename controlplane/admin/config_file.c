#include "config_file.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "redis_directives.h"

#define READ_BYTES 65536
#define SHOWN_BYTES 200 /* of a line in an error */

/* One load: what all its files share. */
struct loading {
    struct config *config;
    struct config_trace *trace;
    int depth;
    int files;
    char *err;
};

/* One file being read. */
struct source {
    struct loading *loading;
    const char *name; /* its path */
    int line;
    int64_t port_seen; /* -1: no port in this file yet */
    int port_line;
};

/* ---- errors ---- */

static void error_begin(char err[CONFIG_FILE_ERROR_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void error_begin(char err[CONFIG_FILE_ERROR_SIZE], const char *format, ...)
{
    static const char head[] = "*** FATAL CONFIG FILE ERROR ***\n";
    memcpy(err, head, sizeof(head));
    va_list args;
    va_start(args, format);
    vsnprintf(err + sizeof(head) - 1, CONFIG_FILE_ERROR_SIZE - sizeof(head) + 1, format, args);
    va_end(args);
}

/* What the operator sees of a line: never a secret, never control characters, never a megabyte. */
static void line_show(struct slice line, char shown[SHOWN_BYTES + 4])
{
    size_t name_len = 0;
    while (name_len < line.len && line.data[name_len] > ' ')
        name_len++;
    struct slice name = slice_from(line.data, name_len);
    int index = config_option_find(name);
    bool hide =
        index >= 0 ? (config_option_flags(index) & SECRET) != 0 : redis_directive_is_secret(name);
    size_t len = hide ? name_len : line.len;
    bool cut = hide || len > SHOWN_BYTES;
    if (len > SHOWN_BYTES)
        len = SHOWN_BYTES;
    for (size_t i = 0; i < len; i++)
        shown[i] = (char)(line.data[i] < ' ' || line.data[i] == 0x7f ? '?' : line.data[i]);
    memcpy(shown + len, cut ? "..." : "", cut ? 4 : 1);
}

static bool refuse_line(const struct source *source, struct slice line, const char *reason)
{
    char shown[SHOWN_BYTES + 4];
    line_show(line, shown);
    error_begin(source->loading->err,
                "Reading the configuration file %.300s, at line %d\n>>> '%s'\n%.300s", source->name,
                source->line, shown, reason);
    return false;
}

/* ---- directives ---- */

static void note_accepted(const struct loading *loading, struct slice name)
{
    char text[CONFIG_ERROR_SIZE];
    int index = config_option_find(name);
    if (!(config_option_flags(index) & ACCEPTED) ||
        config_option_is_default(loading->config, index))
        return;
    snprintf(text, sizeof(text), "accepted, without effect: %s: %s", config_option_name(index),
             config_option_help(index));
    config_trace_note(loading->trace, text);
}

/* words: its name first. */
static bool directive_set(const struct loading *loading, const struct slice *words, int count,
                          char reason[CONFIG_ERROR_SIZE])
{
    switch (redis_directive_judge(words[0], words + 1, count - 1, reason)) {
    case REDIS_DIRECTIVE_ACCEPTED:
        config_trace_note(loading->trace, reason);
        return true;
    case REDIS_DIRECTIVE_REFUSED:
        return false;
    case REDIS_DIRECTIVE_NOT:
        break;
    }
    if (!config_set(loading->config, words[0], words + 1, count - 1, true, reason))
        return false;
    note_accepted(loading, words[0]);
    return true;
}

/* ---- files ---- */

static char *read_all(int fd, size_t *len)
{
    char *text = NULL;
    size_t size = 0;
    *len = 0;
    while (true) {
        if (size - *len < READ_BYTES) {
            size = size * 2 + READ_BYTES;
            char *larger = realloc(text, size + 1);
            CHECK(larger);
            text = larger;
        }
        ssize_t got = read(fd, text + *len, size - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0 && *len + (size_t)got > CONFIG_FILE_MAX) {
            errno = EFBIG;
            got = -1;
        }
        if (got < 0) {
            int why = errno;
            free(text);
            errno = why;
            return NULL;
        }
        *len += (size_t)got;
        if (got == 0)
            break;
    }
    text[*len] = '\0';
    return text;
}

char *config_file_read(const char *path, size_t *len)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *text = read_all(fd, len);
    int why = errno;
    if (!standard_input)
        close(fd);
    errno = why;
    return text;
}

static bool load_text(struct loading *loading, const char *name, struct slice text);

/* at: the include line, NULL for the first file. */
static bool load_file(struct loading *loading, const char *path, const struct source *at,
                      struct slice line)
{
    char reason[CONFIG_FILE_ERROR_SIZE];
    if (++loading->files > CONFIG_FILES_MAX) {
        snprintf(reason, sizeof(reason), "more than %d files are included", CONFIG_FILES_MAX);
        return refuse_line(at, line, reason);
    }
    size_t len;
    char *text = config_file_read(path, &len);
    if (text) {
        bool loaded = load_text(loading, path, slice_from(text, len));
        free(text);
        return loaded;
    }
    snprintf(reason, sizeof(reason), "Can't open config file '%.300s': %s", path, strerror(errno));
    if (at)
        return refuse_line(at, line, reason);
    error_begin(loading->err, "%s", reason);
    return false;
}

/* Where an include of source points to; false: too long. */
static bool include_path(const struct source *source, struct slice word, char path[PATH_MAX])
{
    const char *slash = strrchr(source->name, '/');
    size_t folder_len = word.data[0] == '/' || !slash ? 0 : (size_t)(slash - source->name) + 1;
    if (folder_len + word.len >= PATH_MAX)
        return false;
    memcpy(path, source->name, folder_len);
    memcpy(path + folder_len, word.data, word.len);
    path[folder_len + word.len] = '\0';
    return true;
}

static bool include_matches(const struct source *source, const char *pattern, struct slice line)
{
    glob_t found;
    int status = glob(pattern, 0, NULL, &found);
    if (status == GLOB_NOMATCH)
        return true;
    if (status != 0)
        return refuse_line(source, line, "the folder of the included files can't be read");
    bool loaded = true;
    for (size_t i = 0; loaded && i < found.gl_pathc; i++)
        loaded = load_file(source->loading, found.gl_pathv[i], source, line);
    globfree(&found);
    return loaded;
}

static bool include(const struct source *source, const struct slice *words, int count,
                    struct slice line)
{
    char path[PATH_MAX];
    if (count != 2 || words[1].len == 0)
        return refuse_line(source, line, "wrong number of arguments");
    if (source->loading->depth == CONFIG_INCLUDE_DEPTH_MAX)
        return refuse_line(source, line,
                           "includes are nested too deeply: does a file include itself?");
    if (memchr(words[1].data, '\0', words[1].len) || !include_path(source, words[1], path))
        return refuse_line(source, line, "the path is too long or contains a zero byte");
    if (strpbrk(path, "*?["))
        return include_matches(source, path, line);
    return load_file(source->loading, path, source, line);
}

/* ---- lines ---- */

static bool port_is_single(struct source *source, struct slice line)
{
    int64_t port = source->loading->config->port;
    if (source->port_seen >= 0 && source->port_seen != port) {
        char reason[96];
        snprintf(reason, sizeof(reason), "port was given already, at line %d of this file",
                 source->port_line);
        return refuse_line(source, line, reason);
    }
    source->port_seen = port;
    source->port_line = source->line;
    return true;
}

static bool set_words(struct source *source, const struct slice *words, int count,
                      struct slice line)
{
    char reason[CONFIG_ERROR_SIZE];
    if (slice_equal_word(words[0], "include"))
        return include(source, words, count, line);
    if (!directive_set(source->loading, words, count, reason))
        return refuse_line(source, line, reason);
    config_trace_set(source->loading->trace, words[0], source->name, source->line);
    return !slice_equal_word(words[0], "port") || port_is_single(source, line);
}

static bool load_line(struct source *source, struct slice line)
{
    if (line.len == 0 || line.data[0] == '#')
        return true;
    if (line.len > CONFIG_LINE_MAX)
        return refuse_line(source, line, "the line is longer than 65536 bytes");
    if (memchr(line.data, '\0', line.len))
        return refuse_line(source, line, "the line contains a zero byte");
    struct slice words[CONFIG_WORDS_MAX];
    uint8_t *storage = malloc(line.len);
    CHECK(storage);
    int count = config_line_split(line, storage, words, CONFIG_WORDS_MAX);
    bool taken = count > 0 ? set_words(source, words, count, line)
                           : refuse_line(source, line, "Unbalanced quotes in configuration line");
    free(storage);
    return taken;
}

static bool load_text(struct loading *loading, const char *name, struct slice text)
{
    struct source source = {.loading = loading, .name = name, .port_seen = -1};
    bool loaded = true;
    loading->depth++;
    while (loaded && text.len > 0) {
        source.line++;
        loaded = load_line(&source, config_line_take(&text));
    }
    loading->depth--;
    return loaded;
}

bool config_text_load(struct config *config, const char *name, struct slice text,
                      char err[CONFIG_FILE_ERROR_SIZE])
{
    struct loading loading = {.config = config, .files = 1, .err = err};
    err[0] = '\0';
    return load_text(&loading, name, text);
}

bool config_file_load(struct config *config, const char *path, struct config_trace *trace,
                      char err[CONFIG_FILE_ERROR_SIZE])
{
    struct loading loading = {.config = config, .trace = trace, .err = err};
    err[0] = '\0';
    return load_file(&loading, path, NULL, slice_from(NULL, 0));
}

/* ---- the command line ---- */

static bool is_directive(const char *word)
{
    return word[0] == '-' && word[1] == '-' && word[2] != '\0';
}

static bool refuse_args(char err[CONFIG_FILE_ERROR_SIZE], const char *directive, const char *reason)
{
    error_begin(err, "Reading the command line\n>>> '%.200s'\n%.300s", directive, reason);
    return false;
}

bool config_args_load(struct config *config, int argc, char *const *argv,
                      struct config_trace *trace, char err[CONFIG_FILE_ERROR_SIZE])
{
    struct loading loading = {.config = config, .trace = trace, .err = err};
    err[0] = '\0';
    for (int i = 0; i < argc;) {
        const char *directive = argv[i++];
        struct slice words[CONFIG_WORDS_MAX];
        char reason[CONFIG_ERROR_SIZE];
        int count = 1;
        if (!is_directive(directive))
            return refuse_args(err, directive, "expected a directive that begins with --");
        words[0] = slice_str(directive + 2);
        for (; i < argc && !is_directive(argv[i]); i++) {
            if (count == CONFIG_WORDS_MAX)
                return refuse_args(err, directive, "wrong number of arguments");
            words[count++] = slice_str(argv[i]);
        }
        if (slice_equal_word(words[0], "include")) {
            if (count != 2)
                return refuse_args(err, directive, "wrong number of arguments");
            if (!config_file_load(config, argv[i - 1], trace, err))
                return false;
        } else if (!directive_set(&loading, words, count, reason)) {
            return refuse_args(err, directive, reason);
        }
        config_trace_set(trace, words[0], NULL, 0);
    }
    return true;
}
