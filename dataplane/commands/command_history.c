#include "command_history.h"
#include <string.h>
#include "check.h"

enum history_kind { HISTORY_CHANGED, HISTORY_DEPRECATED, HISTORY_SYSCMD };

struct history_row {
    const char *name;
    enum history_kind kind;
    const char *since, *text;
};

static const struct history_row table[] = {
#define CHANGED(name, since, what) {name, HISTORY_CHANGED, since, what},
#define DEPRECATED(name, since, by) {name, HISTORY_DEPRECATED, since, by},
#define SYSCMD(name) {name, HISTORY_SYSCMD, NULL, NULL},
#include "command_history.def"
#undef CHANGED
#undef DEPRECATED
#undef SYSCMD
};

struct command_history command_history_find(const char *full_name)
{
    unsigned low = 0, high = count_of(table);
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (strcmp(table[middle].name, full_name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct command_history h = {.rows = &table[low]};
    while (low + h.count < count_of(table) && strcmp(h.rows[h.count].name, full_name) == 0)
        h.count++;
    return h;
}

static unsigned rows_of(const struct command_history *h, enum history_kind kind)
{
    unsigned n = 0;
    for (unsigned i = 0; i < h->count; i++)
        n += h->rows[i].kind == kind;
    return n;
}

unsigned command_history_fields(const struct command_history *h)
{
    unsigned deprecated = rows_of(h, HISTORY_DEPRECATED);
    return (deprecated + rows_of(h, HISTORY_SYSCMD) > 0) + 2 * deprecated +
           (rows_of(h, HISTORY_CHANGED) > 0);
}

static void reply_doc_flags(const struct command_history *h, struct reply *r)
{
    unsigned deprecated = rows_of(h, HISTORY_DEPRECATED), syscmd = rows_of(h, HISTORY_SYSCMD);
    if (deprecated + syscmd == 0)
        return;
    reply_bulk_str(r, "doc_flags");
    reply_set(r, deprecated + syscmd);
    if (deprecated)
        reply_status(r, "deprecated");
    if (syscmd)
        reply_status(r, "syscmd");
}

static void reply_deprecated(const struct command_history *h, struct reply *r)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->rows[i].kind != HISTORY_DEPRECATED)
            continue;
        reply_bulk_str(r, "deprecated_since");
        reply_bulk_str(r, h->rows[i].since);
        reply_bulk_str(r, "replaced_by");
        reply_bulk_str(r, h->rows[i].text);
    }
}

void command_history_reply(const struct command_history *h, struct reply *r)
{
    reply_doc_flags(h, r);
    reply_deprecated(h, r);
    unsigned changed = rows_of(h, HISTORY_CHANGED);
    if (changed == 0)
        return;
    reply_bulk_str(r, "history");
    reply_set(r, changed);
    for (unsigned i = 0; i < h->count; i++) {
        if (h->rows[i].kind != HISTORY_CHANGED)
            continue;
        reply_array(r, 2);
        reply_bulk_str(r, h->rows[i].since);
        reply_bulk_str(r, h->rows[i].text);
    }
}

const char *command_history_fault(void)
{
    for (unsigned i = 1; i < count_of(table); i++) {
        if (strcmp(table[i - 1].name, table[i].name) > 0)
            return table[i].name;
    }
    return NULL;
}
