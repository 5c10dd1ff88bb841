/* What INFO says of the machine below the commands: port, EAL, network and TCP counters. */
#pragma once
#include <stddef.h>

struct node;

/* Appends "name:value\r\n" lines to *text (malloc, may be NULL with *len 0). Any lcore; counters of
 * other lcores are read without their knowledge and may lag by a moment. */
void machine_info_network(struct node *node, char **text, size_t *len);
