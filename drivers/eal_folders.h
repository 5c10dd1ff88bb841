/* EAL makes a folder per process under its runtime directory and leaves it there. Ours are removed
 * when the process ends, and those of killed processes when the next one starts. Control thread. */
#pragma once
#include <stdbool.h>

/* The file prefix of a process that has none of its own is this and its process id. */
#define EAL_PREFIX "slotwire"

/* Removes the runtime folders of dead processes with such a prefix. After rte_eal_init. */
void eal_folders_sweep(void);
/* Removes a folder of plain files and sockets. */
void eal_folder_remove(const char *path);
