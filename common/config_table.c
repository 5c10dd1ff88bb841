#include "config_table.h"
#include "check.h"

static const struct option options[] = {
#define OPT_INT(name, field, def, min, max, flags, help) \
    {name, OPTION_INT, flags, offsetof(struct config, field), {def, min, max, 0, 0, 0}, NULL, help},
#define OPT_MEM(name, field, def, min, max, flags, help) \
    {name, OPTION_MEM, flags, offsetof(struct config, field), {0, 0, 0, def, min, max}, NULL, help},
#define OPT_BOOL(name, field, def, flags, help) \
    {name, OPTION_BOOL, flags, offsetof(struct config, field), {def, 0, 1, 0, 0, 0}, NULL, help},
#define OPT_ENUM(name, field, def, words, flags, help) \
    {name, OPTION_ENUM, flags, offsetof(struct config, field), {def, 0, 0, 0, 0, 0}, words, help},
#define OPT_STR(name, field, def, flags, help) \
    {name, OPTION_STR, flags, offsetof(struct config, field), {0}, def, help},
#define OPT_SPECIAL(name, field, flags, help) \
    {name, OPTION_SPECIAL, flags, offsetof(struct config, field), {0}, NULL, help},
#include "options.def"
#undef OPT_INT
#undef OPT_MEM
#undef OPT_BOOL
#undef OPT_ENUM
#undef OPT_STR
#undef OPT_SPECIAL
};

int config_option_count(void)
{
    return (int)count_of(options);
}

const struct option *option_row(int index)
{
    CHECK(index >= 0);
    CHECK(index < config_option_count());
    return &options[index];
}

const struct option *option_resolve(int index)
{
    const struct option *option = option_row(index);
    if (!(option->flags & ALIAS))
        return option;
    int target = config_option_find(slice_str(option->help));
    CHECK(target >= 0);
    return option_row(target);
}

int config_option_find(struct slice name)
{
    for (int i = 0; i < config_option_count(); i++) {
        if (slice_equal_word(name, options[i].name))
            return i;
    }
    return -1;
}

const char *config_option_name(int index)
{
    return option_row(index)->name;
}

int config_option_flags(int index)
{
    return option_row(index)->flags;
}

const char *config_option_help(int index)
{
    return option_row(index)->help;
}

struct slice option_enum_word(const struct option *option, int index)
{
    const char *at = option->text;
    for (; index > 0; index--) {
        at = strchr(at, '|');
        if (!at)
            return slice_from(NULL, 0);
        at++;
    }
    return slice_from(at, strcspn(at, "|"));
}
