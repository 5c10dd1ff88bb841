/* Between port_ethdev.c (what runs) and ethdev_setup.c (what brings it up): not for others. */
#pragma once
#include "port_ethdev.h"

void ethdev_queue_init(struct ethdev_queue *q, struct ethdev_port *port, uint16_t id);
/* After the device has started. False: no descriptors left. */
bool ethdev_wake_open(struct ethdev_queue *q);
void ethdev_callbacks_set(struct ethdev_port *port, bool on);
