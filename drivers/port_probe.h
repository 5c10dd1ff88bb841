/* Looks before a port is opened whether the machine has what it needs, so that the commonest
 * mistakes get a sentence that says what to do. What it cannot see, the driver reports. */
#pragma once
#include <stdbool.h>
#include "port_spec.h"

#define PROBE_ERROR_SIZE 384

/* mtu: the one wanted. A socket path that a dead process left is removed. False: err. */
bool port_probe(const struct port_spec *spec, uint16_t mtu, char err[PROBE_ERROR_SIZE]);
