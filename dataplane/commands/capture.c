/* CAPTURE: the control thread starts and ends it. */
#include "admin_ask.h"
#include "families.h"

void cmd_capture_start(struct call *c)
{
    admin_ask(c, ADMIN_CAPTURE_START, c->argv + 2, c->argc - 2);
}

void cmd_capture_stop(struct call *c)
{
    admin_ask(c, ADMIN_CAPTURE_STOP, NULL, 0);
}

void cmd_capture_status(struct call *c)
{
    admin_ask(c, ADMIN_CAPTURE_STATUS, NULL, 0);
}

void cmd_capture_help(struct call *c)
{
    static const char *const lines[] = {
        "START [FILE <name>] [SNAPLEN <bytes>] [PACKETS <count>] [BYTES <size>] [SECONDS <time>]",
        "      [QUEUE <packets>]",
        "    Capture packets into <name> (*.pcapng) in the working directory, until a bound is "
        "reached.",
        "STATUS",
        "    What the last capture has done, and why it ended.",
        "STOP",
        "    End the capture that runs.",
        NULL};
    command_reply_help(c, lines);
}
