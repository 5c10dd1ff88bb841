/* Packet capture at the machine's port: what the control thread may call while the machine runs. */
#pragma once
#include "capture.h"

struct machine;

/* Once port and lcores are known. */
struct capturer *machine_capturer_new(struct machine *m);
/* arg is the machine. */
extern const struct capture_ops machine_capture_ops;
