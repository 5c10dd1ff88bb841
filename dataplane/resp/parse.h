/* Incremental parser of client requests: RESP arrays of bulk strings, and inline commands.
 *
 * Bytes are looked at once, split where they may. A command that lies whole in the given bytes is
 * returned as slices into them, without a copy; of an unfinished one the parser keeps offsets
 * relative to the start of the unfinished command, so the caller may move the bytes (into a query
 * buffer) between calls. Nothing is allocated ahead of the data: argument tables grow as arguments
 * arrive. Pure.
 *
 * As Redis reads requests, with three differences, all towards refusing: a bulk must end in CRLF, a
 * header line too, and an inline request with a NUL is refused at once. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "slice.h"

enum resp_result {
    RESP_COMMAND, /* argv, argc; consumed says where the next one starts */
    RESP_MORE,    /* unfinished: call again with the same bytes and more behind them */
    RESP_NOTHING, /* an empty line, "*0", "*-1": consumed, no command, go on */
    RESP_INVALID, /* error: the text after "-ERR Protocol error: "; close the connection */
};

struct resp_limits {
    uint64_t bulk_max_bytes;   /* proto-max-bulk-len */
    uint32_t inline_max_bytes; /* 65536: an inline request, or the header of an array or bulk */
    bool authenticated;        /* else at most 10 arguments of 16384 bytes, as Redis */
};
#define RESP_INLINE_MAX 65536

/* An argument of an unfinished command, then (converted in place) of a finished one. */
struct resp_arg_place {
    union {
        struct {
            size_t offset, len;
        } place;
        struct slice slice;
    };
};

/* Parser state of one connection: all zero = at the start of a command. The table of an unfinished
 * command is allocated apart, and so are the bytes of unquoted inline arguments. */
struct resp_parser {
    uint8_t phase;
    bool table_busy;    /* the table was lent by the last RESP_COMMAND */
    uint32_t args_left; /* of the array */
    uint32_t argc;      /* finished arguments of the unfinished command */
    uint32_t table_size;
    uint32_t line_scanned; /* bytes of the line at scanned that hold no end of line */
    uint64_t scanned;      /* bytes of the unfinished command that need no second look */
    int64_t bulk_left;     /* length of the bulk being read, -1: its header is next */
    struct resp_arg_place *table;
    uint8_t *unquoted;
};

struct resp_command {
    const struct slice *argv;
    uint32_t argc;
    size_t consumed;
    const char *error; /* static, or in error_room */
    char error_room[24];
};

void resp_parser_init(struct resp_parser *p);
void resp_parser_free(struct resp_parser *p);

/* argv_room[room]: where slices of a short command are put; a command with more arguments than room
 * gets a table of the parser's own, valid until the next call. Inline arguments with escapes are
 * unquoted in memory of the parser's own, valid until the next call. data starts at the
 * (unfinished) command. After RESP_INVALID the parser must not be used but for resp_parser_free().
 */
enum resp_result resp_parse(struct resp_parser *p, struct slice data,
                            const struct resp_limits *limits, struct slice *argv_room,
                            uint32_t room, struct resp_command *out);
/* No command is unfinished: the next byte starts one. */
bool resp_parser_idle(const struct resp_parser *p);
/* True: the last RESP_COMMAND lent memory of the parser's own, so it must be executed before the
 * next resp_parse(). */
bool resp_parser_lends(const struct resp_parser *p);
/* Gives back what was lent by the last command, once it was executed. */
void resp_parser_trim(struct resp_parser *p);
/* Memory that hangs off the parser. */
size_t resp_parser_mem_bytes(const struct resp_parser *p);
