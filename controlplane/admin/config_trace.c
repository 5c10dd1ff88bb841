#include "config_trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

struct origin {
    char *file; /* NULL: not set by a file */
    int line;
};

struct config_trace {
    struct origin *origins; /* by index of the directive */
    char **notes;
    int note_count;
    int notes_dropped;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    CHECK(memory);
    return memory;
}

struct config_trace *config_trace_new(void)
{
    struct config_trace *trace = zeroed(1, sizeof(*trace));
    trace->origins = zeroed((size_t)config_option_count(), sizeof(*trace->origins));
    trace->notes = zeroed(CONFIG_NOTES_MAX, sizeof(*trace->notes));
    return trace;
}

void config_trace_free(struct config_trace *trace)
{
    if (!trace)
        return;
    for (int i = 0; i < config_option_count(); i++)
        free(trace->origins[i].file);
    for (int i = 0; i < trace->note_count; i++)
        free(trace->notes[i]);
    free(trace->origins);
    free(trace->notes);
    free(trace);
}

static char *text_copy(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy);
    return copy;
}

void config_trace_set(struct config_trace *trace, struct slice name, const char *file, int line)
{
    int index = config_option_find(name);
    if (!trace || index < 0)
        return;
    struct origin *origin = &trace->origins[index];
    free(origin->file);
    *origin = (struct origin){file ? text_copy(file) : NULL, line};
}

void config_trace_note(struct config_trace *trace, const char *text)
{
    if (!trace)
        return;
    if (trace->note_count == CONFIG_NOTES_MAX)
        trace->notes_dropped++;
    else
        trace->notes[trace->note_count++] = text_copy(text);
}

void config_trace_notes(const struct config_trace *trace, void (*tell)(const char *note))
{
    char more[64];
    for (int i = 0; i < trace->note_count; i++)
        tell(trace->notes[i]);
    if (trace->notes_dropped == 0)
        return;
    snprintf(more, sizeof(more), "… and %d more of the kind", trace->notes_dropped);
    tell(more);
}

static size_t word_length(const char *at)
{
    size_t len = 0;
    while ((at[len] >= 'a' && at[len] <= 'z') || (at[len] >= '0' && at[len] <= '9') ||
           at[len] == '-')
        len++;
    return len;
}

const char *config_trace_place(const struct config_trace *trace, const char *text,
                               char place[CONFIG_PLACE_SIZE])
{
    place[0] = '\0';
    for (size_t len; *text; text += len ? len : 1) {
        len = word_length(text);
        int index = config_option_find(slice_from(text, len));
        const struct origin *origin = index < 0 ? NULL : &trace->origins[index];
        if (origin && origin->file) {
            snprintf(place, CONFIG_PLACE_SIZE, "%.400s, line %d: ", origin->file, origin->line);
            break;
        }
    }
    return place;
}
