/* What EAL is told: pure functions from options and facts about the machine to arguments. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "eal.h"

#define EAL_CPUS_MAX 1024
#define EAL_ARGS_MAX 32
#define EAL_ARG_SIZE 16384

/* What was found on the machine. */
struct eal_machine {
    int cpu_count;
    int cpu[EAL_CPUS_MAX]; /* those that the process may run on, ascending */
    size_t hugepage_size_bytes;
    size_t hugepages_free; /* of that size */
    bool hugetlbfs_mounted;
    int pid;
};

/* "N" or a list of different CPUs "0,2-3" into cpus[EAL_LCORES_MAX]; how many, or 0 with a sentence
 * in err. With N the CPUs are taken in turn, from the first again when there are fewer. */
int eal_lcores_parse(const char *spec, const struct eal_machine *machine, int *cpus,
                     char err[EAL_ERROR_SIZE]);
/* Bytes of one buffer's data room for frames of that MTU on that kind of port. */
uint16_t eal_data_room_bytes(const char *nic, uint16_t mtu);
/* Memory that pools and queues need, whole megabytes. */
size_t eal_memory_bytes(int lcore_count, uint32_t packet_buffers, uint16_t data_room_bytes);
/* Whether hugepages are to be used; false with err set when they are wanted and cannot be had. */
bool eal_hugepages_choose(const struct eal_options *options, const struct eal_machine *machine,
                          size_t memory_bytes, bool *use, char err[EAL_ERROR_SIZE]);

struct eal_args {
    int count;
    char *value[EAL_ARGS_MAX]; /* into text, NULL-terminated */
    char text[EAL_ARG_SIZE];
    size_t text_len;
};

/* The argument vector. cpus: of the lcores chosen, eal->lcore_count of them. */
void eal_args_build(struct eal_args *args, const struct eal_options *options, const struct eal *eal,
                    const struct eal_machine *machine, const int *cpus);
