#include "redact.h"
#include <string.h>
#include "config.h"

static void redact(struct slice room[REDACT_ARGS_MAX], uint32_t index)
{
    if (index < REDACT_ARGS_MAX)
        room[index] = slice_str("(redacted)");
}

/* HELLO 3 AUTH user password SETNAME name. */
static void redact_hello(const struct slice *argv, uint32_t argc, struct slice *room)
{
    for (uint32_t i = 2; i < argc; i++) {
        if (slice_equal_word(argv[i], "setname")) {
            i++;
        } else if (slice_equal_word(argv[i], "auth") && i + 2 < argc) {
            redact(room, i + 1);
            redact(room, i + 2);
            i += 2;
        }
    }
}

/* MIGRATE host port key db timeout [COPY] [AUTH password | AUTH2 user password] [KEYS …]. */
static void redact_migrate(const struct slice *argv, uint32_t argc, struct slice *room)
{
    for (uint32_t i = 6; i < argc && !slice_equal_word(argv[i], "keys"); i++) {
        bool with_user = slice_equal_word(argv[i], "auth2");
        if (!with_user && !slice_equal_word(argv[i], "auth"))
            continue;
        for (uint32_t secret = i + 1; secret <= i + 1 + with_user && secret < argc; secret++)
            redact(room, secret);
        i += 1 + with_user;
    }
}

static void redact_config(const struct slice *argv, uint32_t argc, struct slice *room)
{
    for (uint32_t i = 2; i + 1 < argc; i += 2) {
        int option = config_option_find(argv[i]);
        if (option >= 0 && config_option_flags(option) & SECRET)
            redact(room, i + 1);
    }
}

const struct slice *redact_secrets(const struct command *cmd, const struct slice *argv,
                                   uint32_t argc, struct slice room[REDACT_ARGS_MAX])
{
    bool auth = strcmp(cmd->full_name, "auth") == 0;
    bool hello = strcmp(cmd->full_name, "hello") == 0;
    bool migrate = strcmp(cmd->full_name, "migrate") == 0;
    if (!auth && !hello && !migrate && strcmp(cmd->full_name, "config|set") != 0)
        return argv;
    memcpy(room, argv, (argc < REDACT_ARGS_MAX ? argc : REDACT_ARGS_MAX) * sizeof(*argv));
    if (hello)
        redact_hello(argv, argc, room);
    else if (migrate)
        redact_migrate(argv, argc, room);
    else if (!auth)
        redact_config(argv, argc, room);
    for (uint32_t i = 1; auth && i < argc; i++)
        redact(room, i);
    return room;
}
