/* CONFIG: reading happens here, changing on the control thread. */
#include <stdlib.h>
#include "admin_ask.h"
#include "check.h"
#include "config.h"
#include "families.h"
#include "numbers.h"

static bool has_glob(struct slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.data[i] == '[' || pattern.data[i] == '*' || pattern.data[i] == '?')
            return true;
    }
    return false;
}

static bool config_matches(struct slice pattern, int option)
{
    const char *name = config_option_name(option);
    return has_glob(pattern) ? glob_match(pattern, slice_str(name), true)
                             : slice_equal_word(pattern, name);
}

/* The first pattern that wants an option; 0: none does. A plain name comes back as it was written.
 */
static uint32_t config_wanted_by(const struct call *c, int option)
{
    for (uint32_t i = 2; i < c->argc; i++) {
        if (config_matches(c->argv[i], option))
            return i;
    }
    return 0;
}

void cmd_config_get(struct call *c)
{
    const struct config *config = c->worker->config;
    uint64_t count = 0;
    for (int o = 0; o < config_option_count(); o++)
        count += config_wanted_by(c, o) != 0;
    reply_map(c->reply, count);
    for (int o = 0; o < config_option_count(); o++) {
        uint32_t by = config_wanted_by(c, o);
        if (by == 0)
            continue;
        if (has_glob(c->argv[by]))
            reply_bulk_str(c->reply, config_option_name(o));
        else
            reply_bulk(c->reply, c->argv[by]);
        char *value = config_option_print(config, o);
        reply_bulk_str(c->reply, value);
        free(value);
    }
}

void cmd_config_set(struct call *c)
{
    if (c->argc % 2 != 0) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    admin_ask(c, ADMIN_CONFIG_SET, c->argv + 2, c->argc - 2);
}

void cmd_config_rewrite(struct call *c)
{
    admin_ask(c, ADMIN_CONFIG_REWRITE, NULL, 0);
}

void cmd_config_resetstat(struct call *c)
{
    admin_ask(c, ADMIN_CONFIG_RESETSTAT, NULL, 0);
}

void cmd_config_help(struct call *c)
{
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    Directives whose names match, and their values.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Change directives: all of them or, if one cannot be, none.",
        "RESETSTAT",
        "    Count statistics from zero again.",
        "REWRITE",
        "    Write the values in force into the configuration file.",
        NULL};
    command_reply_help(c, lines);
}
