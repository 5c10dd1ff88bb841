/* Debian's dpdk-dumpcap loads every driver of DPDK, and refuses a primary process that does not
 * know the lists of the libraries that they bring along. */
#pragma once

/* Before rte_eal_init. */
void capture_tailqs_register(void);
