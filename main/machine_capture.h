/* Packet capture at the machine's port: what the control thread may call while the machine runs. */
#pragma once
#include "capture.h"

struct machine;

/* Once port and lcores are known. */
struct capturer *machine_capturer_new(struct machine *m);
/* arg is the machine. */
extern const struct capture_ops machine_capture_ops;

/* At the end of the node: asks a capture that runs to end, without waiting; whether none runs. */
void machine_capture_stop(struct machine *m);
bool machine_capture_stopped(const struct machine *m);
