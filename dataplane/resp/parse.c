#include "parse.h"
#include <stdlib.h>
#include "check.h"
#include "numbers.h"
#include "words.h"

enum { PHASE_START, PHASE_ARRAY, PHASE_BULKS, PHASE_INLINE };

#define UNAUTHENTICATED_ARGS_MAX 10
#define UNAUTHENTICATED_BULK_MAX 16384
#define TABLE_FIRST_SIZE 16

/* One call of resp_parse(): where arguments go. */
struct sink {
    struct resp_parser *p;
    struct slice data;
    struct slice *room;
    uint32_t room_size;
    struct resp_command *out;
};

void resp_parser_init(struct resp_parser *p)
{
    *p = (struct resp_parser){.bulk_left = -1};
}

void resp_parser_free(struct resp_parser *p)
{
    free(p->table);
    free(p->unquoted);
    resp_parser_init(p);
}

bool resp_parser_idle(const struct resp_parser *p)
{
    return p->phase == PHASE_START;
}

bool resp_parser_lends(const struct resp_parser *p)
{
    return p->table_busy || p->unquoted;
}

void resp_parser_trim(struct resp_parser *p)
{
    if (p->table_busy) {
        free(p->table);
        p->table = NULL;
        p->table_size = 0;
        p->table_busy = false;
    }
    free(p->unquoted);
    p->unquoted = NULL;
}

size_t resp_parser_mem_bytes(const struct resp_parser *p)
{
    return p->table_size * sizeof(*p->table);
}

static void table_push(struct resp_parser *p, struct resp_arg_place place)
{
    if (p->argc == p->table_size) {
        uint32_t size = p->table_size ? p->table_size * 2 : TABLE_FIRST_SIZE;
        struct resp_arg_place *table = realloc(p->table, size * sizeof(*table));
        CHECK(table);
        p->table = table;
        p->table_size = size;
    }
    p->table[p->argc++] = place;
}

/* Moves what stands in the room into the table, as offsets. */
static void sink_spill(struct sink *s)
{
    uint32_t count = s->p->argc;
    s->p->argc = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct resp_arg_place place = {
            .place = {(size_t)(s->room[i].data - s->data.data), s->room[i].len}};
        table_push(s->p, place);
    }
}

static void sink_add(struct sink *s, size_t offset, size_t len)
{
    struct resp_parser *p = s->p;
    if (!p->table) {
        if (p->argc < s->room_size) {
            s->room[p->argc++] = slice_from(s->data.data + offset, len);
            return;
        }
        sink_spill(s);
    }
    table_push(p, (struct resp_arg_place){.place = {offset, len}});
}

static void parser_restart(struct resp_parser *p)
{
    p->phase = PHASE_START;
    p->args_left = 0;
    p->argc = 0;
    p->line_scanned = 0;
    p->scanned = 0;
    p->bulk_left = -1;
}

/* The command is whole: its slices go where the caller wants them. */
static enum resp_result sink_finish(struct sink *s)
{
    struct resp_parser *p = s->p;
    s->out->argc = p->argc;
    s->out->consumed = p->scanned;
    s->out->argv = s->room;
    if (p->table) {
        bool fits = p->argc <= s->room_size;
        for (uint32_t i = 0; i < p->argc; i++) {
            struct slice arg =
                slice_from(s->data.data + p->table[i].place.offset, p->table[i].place.len);
            if (fits)
                s->room[i] = arg;
            else
                p->table[i].slice = arg;
        }
        if (!fits)
            s->out->argv = &p->table[0].slice;
        p->table_busy = true;
        if (fits)
            resp_parser_trim(p);
    }
    parser_restart(p);
    return RESP_COMMAND;
}

static enum resp_result sink_more(struct sink *s)
{
    if (!s->p->table && s->p->argc > 0)
        sink_spill(s);
    return RESP_MORE;
}

static enum resp_result invalid(struct sink *s, const char *error)
{
    s->out->error = error;
    return RESP_INVALID;
}

enum line_result { LINE_WHOLE, LINE_UNFINISHED, LINE_LONG, LINE_BROKEN };

/* The header line at p->scanned, without its CRLF; scanned passes it when it is whole. */
static enum line_result header_line(struct sink *s, uint32_t max, struct slice *line)
{
    struct resp_parser *p = s->p;
    const uint8_t *start = s->data.data + p->scanned;
    size_t left = s->data.len - p->scanned;
    const uint8_t *cr = NULL;
    if (left > p->line_scanned)
        cr = memchr(start + p->line_scanned, '\r', left - p->line_scanned);
    size_t len = cr ? (size_t)(cr - start) : left;
    if (len > max)
        return LINE_LONG;
    p->line_scanned = (uint32_t)len;
    if (!cr || len + 2 > left)
        return LINE_UNFINISHED;
    if (cr[1] != '\n')
        return LINE_BROKEN;
    *line = slice_from(start, len);
    p->scanned += len + 2;
    p->line_scanned = 0;
    return LINE_WHOLE;
}

/* The common header: its sign and one to three digits, whole. How many bytes it takes, 0: look
 * closer. */
static inline size_t short_header(const uint8_t *at, size_t left, uint8_t sign, int64_t *value)
{
    if (left < 6 || at[0] != sign || (uint8_t)(at[1] - '0') > 9)
        return 0;
    uint32_t sum = (uint8_t)(at[1] - '0');
    size_t i = 2;
    while (i < 4 && (uint8_t)(at[i] - '0') <= 9)
        sum = sum * 10 + (uint8_t)(at[i++] - '0');
    if (at[i] != '\r' || at[i + 1] != '\n' || (at[1] == '0' && i > 2))
        return 0;
    *value = sum;
    return i + 2;
}

/* "*3": sets args_left. RESP_COMMAND here means: go on with the bulks. */
static enum resp_result parse_array(struct sink *s, const struct resp_limits *limits)
{
    struct resp_parser *p = s->p;
    int64_t count;
    size_t used = short_header(s->data.data, s->data.len, '*', &count);
    if (likely_true(used > 0)) {
        p->scanned = used;
        p->line_scanned = 0;
    } else {
        struct slice line;
        switch (header_line(s, limits->inline_max_bytes, &line)) {
        case LINE_UNFINISHED:
            return RESP_MORE;
        case LINE_LONG:
            return invalid(s, "too big mbulk count string");
        case LINE_BROKEN:
            return invalid(s, "invalid multibulk length");
        case LINE_WHOLE:
            break;
        }
        if (!parse_i64(slice_from(line.data + 1, line.len - 1), &count) || count > INT32_MAX)
            return invalid(s, "invalid multibulk length");
    }
    if (!limits->authenticated && count > UNAUTHENTICATED_ARGS_MAX)
        return invalid(s, "unauthenticated multibulk length");
    if (count <= 0) {
        s->out->consumed = p->scanned;
        parser_restart(p);
        return RESP_NOTHING;
    }
    p->args_left = (uint32_t)count;
    p->phase = PHASE_BULKS;
    return RESP_COMMAND;
}

static enum resp_result invalid_start(struct sink *s, uint8_t c)
{
    static const char text[] = "expected '$', got '?'";
    _Static_assert(sizeof(text) <= sizeof(s->out->error_room), "fits");
    memcpy(s->out->error_room, text, sizeof(text));
    s->out->error_room[sizeof(text) - 3] = c ? (char)c : '?';
    return invalid(s, s->out->error_room);
}

/* "$5": sets bulk_left. RESP_COMMAND here means: go on with the bytes. */
static enum resp_result parse_bulk_header(struct sink *s, const struct resp_limits *limits)
{
    struct resp_parser *p = s->p;
    struct slice line;
    switch (header_line(s, limits->inline_max_bytes, &line)) {
    case LINE_UNFINISHED:
        return RESP_MORE;
    case LINE_LONG:
        return invalid(s, "too big bulk count string");
    case LINE_BROKEN:
        return invalid(s, "invalid bulk length");
    case LINE_WHOLE:
        break;
    }
    if (line.len == 0 || line.data[0] != '$')
        return invalid_start(s, line.len == 0 ? '\r' : line.data[0]);
    int64_t len;
    if (!parse_i64(slice_from(line.data + 1, line.len - 1), &len) || len < 0 ||
        (uint64_t)len > limits->bulk_max_bytes)
        return invalid(s, "invalid bulk length");
    if (!limits->authenticated && len > UNAUTHENTICATED_BULK_MAX)
        return invalid(s, "unauthenticated bulk length");
    p->bulk_left = len;
    return RESP_COMMAND;
}

static enum resp_result parse_bulks(struct sink *s, const struct resp_limits *limits)
{
    struct resp_parser *p = s->p;
    while (p->args_left > 0) {
        if (p->bulk_left < 0) {
            size_t used = short_header(s->data.data + p->scanned, s->data.len - p->scanned, '$',
                                       &p->bulk_left);
            if (likely_true(used > 0)) {
                p->scanned += used;
                p->line_scanned = 0;
            } else {
                enum resp_result r = parse_bulk_header(s, limits);
                if (r != RESP_COMMAND)
                    return r == RESP_MORE ? sink_more(s) : r;
            }
        }
        size_t len = (size_t)p->bulk_left;
        if (s->data.len - p->scanned < len + 2)
            return sink_more(s);
        const uint8_t *end = s->data.data + p->scanned + len;
        if (end[0] != '\r' || end[1] != '\n')
            return invalid(s, "expected CRLF after bulk");
        sink_add(s, p->scanned, len);
        p->scanned += len + 2;
        p->bulk_left = -1;
        p->args_left--;
    }
    return sink_finish(s);
}

/* More arguments than the room takes: all of them move to the table. */
static void split_overflow(struct sink *s)
{
    struct resp_parser *p = s->p;
    uint32_t count = p->argc;
    p->argc = 0;
    for (uint32_t i = 0; i < count; i++)
        table_push(p, (struct resp_arg_place){.slice = s->room[i]});
    p->table_busy = true;
}

static enum resp_result split_inline(struct sink *s, struct slice line)
{
    struct resp_parser *p = s->p;
    struct words split = {.line = line};
    enum words_result r;
    struct slice arg;
    while ((r = words_next(&split, &arg)) == WORDS_ONE) {
        if (!p->table_busy && p->argc == s->room_size)
            split_overflow(s);
        if (p->table_busy)
            table_push(p, (struct resp_arg_place){.slice = arg});
        else
            s->room[p->argc++] = arg;
    }
    p->unquoted = split.unquoted;
    if (r == WORDS_UNBALANCED)
        return invalid(s, "unbalanced quotes in request");
    s->out->argc = p->argc;
    s->out->argv = p->table_busy ? &p->table[0].slice : s->room;
    s->out->consumed = p->scanned;
    parser_restart(p);
    return s->out->argc ? RESP_COMMAND : RESP_NOTHING;
}

static enum resp_result parse_inline(struct sink *s, const struct resp_limits *limits)
{
    struct resp_parser *p = s->p;
    const uint8_t *fresh = s->data.data + p->line_scanned;
    size_t fresh_len = s->data.len - p->line_scanned;
    const uint8_t *lf = fresh_len ? memchr(fresh, '\n', fresh_len) : NULL;
    size_t looked = lf ? (size_t)(lf - fresh) : fresh_len;
    if (p->line_scanned + looked > limits->inline_max_bytes)
        return invalid(s, "too big inline request");
    if (looked && memchr(fresh, '\0', looked))
        return invalid(s, "NUL in inline request");
    p->line_scanned += (uint32_t)looked;
    if (!lf)
        return RESP_MORE;
    size_t len = p->line_scanned;
    p->scanned = len + 1;
    if (len > 0 && s->data.data[len - 1] == '\r')
        len--;
    return split_inline(s, slice_from(s->data.data, len));
}

enum resp_result resp_parse(struct resp_parser *p, struct slice data,
                            const struct resp_limits *limits, struct slice *argv_room,
                            uint32_t room, struct resp_command *out)
{
    struct sink s = {p, data, argv_room, room, out};
    if (likely_false(resp_parser_lends(p)))
        resp_parser_trim(p);
    if (data.len == 0)
        return RESP_MORE;
    if (p->phase == PHASE_START) {
        p->bulk_left = -1;
        p->phase = data.data[0] == '*' ? PHASE_ARRAY : PHASE_INLINE;
    }
    if (p->phase == PHASE_INLINE)
        return parse_inline(&s, limits);
    if (p->phase == PHASE_ARRAY) {
        enum resp_result r = parse_array(&s, limits);
        if (r != RESP_COMMAND)
            return r;
    }
    return parse_bulks(&s, limits);
}
