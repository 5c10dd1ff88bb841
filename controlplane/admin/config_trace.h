/* Where each directive was set, and what is to be told of the files that were read: for errors that
 * show only when the node starts, and for the log, which opens later. Control thread. */
#pragma once
#include "config.h"
#include "slice.h"

#define CONFIG_NOTES_MAX 1000 /* more are counted only */

struct config_trace;

struct config_trace *config_trace_new(void);
void config_trace_free(struct config_trace *trace);

/* The directive's last word stands there; file NULL: on the command line. trace may be NULL. */
void config_trace_set(struct config_trace *trace, struct slice name, const char *file, int line);
/* One line for the operator. trace may be NULL. */
void config_trace_note(struct config_trace *trace, const char *text);
/* Each of them in order. */
void config_trace_notes(const struct config_trace *trace, void (*tell)(const char *note));

/* "FILE, line N: " of the first directive in text that a file has set; "" when there is none. */
#define CONFIG_PLACE_SIZE 512
const char *config_trace_place(const struct config_trace *trace, const char *text,
                               char place[CONFIG_PLACE_SIZE]);
