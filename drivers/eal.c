#include "eal.h"
#include <dirent.h>
#include <limits.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_pdump.h>
#include "capture_tailqs.h"
#include "check.h"
#include "dpdk_log.h"
#include "eal_args.h"
#include "eal_folders.h"

#define HUGEPAGE_DIR "/sys/kernel/mm/hugepages"
#define POOL_CACHE 256

struct eal_options eal_options_from(const struct config *config)
{
    return (struct eal_options){
        .nic = config->nic,
        .lcores = config->lcores,
        .hugepages = config->hugepages,
        .packet_buffers = (uint32_t)config->packet_buffers,
        .mtu = (uint16_t)config->mtu,
        .capture_secondary = config->capture_secondary,
        .file_prefix = config->file_prefix == NULL ? "" : config->file_prefix,
    };
}

static size_t sysfs_read(const char *dir, const char *name)
{
    char path[512];
    size_t value = 0;
    snprintf(path, sizeof(path), HUGEPAGE_DIR "/%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%zu", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

/* The size with most free memory; with none free, the smallest that the kernel has. */
static void machine_hugepages(struct eal_machine *machine)
{
    DIR *dir = opendir(HUGEPAGE_DIR);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t kb;
        if (sscanf(entry->d_name, "hugepages-%zukB", &kb) != 1)
            continue;
        size_t free_pages = sysfs_read(entry->d_name, "free_hugepages");
        size_t reserved = sysfs_read(entry->d_name, "resv_hugepages");
        free_pages = free_pages > reserved ? free_pages - reserved : 0;
        size_t had = machine->hugepages_free * machine->hugepage_size_bytes;
        size_t has = free_pages * (kb << 10);
        bool smaller = (kb << 10) < machine->hugepage_size_bytes;
        if (machine->hugepage_size_bytes == 0 || has > had || (has == had && smaller)) {
            machine->hugepage_size_bytes = kb << 10;
            machine->hugepages_free = free_pages;
        }
    }
    closedir(dir);
}

static bool hugetlbfs_mounted(void)
{
    bool found = false;
    FILE *mounts = setmntent("/proc/mounts", "r");
    if (mounts == NULL)
        return false;
    for (struct mntent *entry = getmntent(mounts); entry != NULL; entry = getmntent(mounts))
        found = found || strcmp(entry->mnt_type, "hugetlbfs") == 0;
    endmntent(mounts);
    return found;
}

static void machine_look(struct eal_machine *machine)
{
    cpu_set_t set;
    memset(machine, 0, sizeof(*machine));
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    for (int cpu = 0; cpu < EAL_CPUS_MAX && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            machine->cpu[machine->cpu_count++] = cpu;
    machine_hugepages(machine);
    machine->hugetlbfs_mounted = hugetlbfs_mounted();
    machine->pid = getpid();
}

/* The TAP driver takes a free real-time signal to learn of frames; a paused process dies of a full
 * signal queue. With none free it polls, as the lcores do anyway. */
static void signals_ignore(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction now;
    sigaction(SIGIO, &ignore, NULL);
    /* virtio-user writes to its peer's socket even when the peer has gone. */
    sigaction(SIGPIPE, &ignore, NULL);
    for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
        if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(signo, &ignore, NULL);
}

static bool pools_make(struct eal *eal, char err[EAL_ERROR_SIZE])
{
    for (int i = 0; i < eal->lcore_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "buffers%d", i);
        eal->lcore[i].pool = rte_pktmbuf_pool_create(
            name, eal->packet_buffers, POOL_CACHE, 0,
            (uint16_t)(RTE_PKTMBUF_HEADROOM + eal->data_room_bytes), eal->lcore[i].numa_node);
        if (eal->lcore[i].pool == NULL) {
            snprintf(err, EAL_ERROR_SIZE,
                     "no memory for %u packet buffers of lcore %d (%s): lower packet-buffers, or "
                     "free more hugepages on NUMA node %d",
                     eal->packet_buffers, i, rte_strerror(rte_errno), eal->lcore[i].numa_node);
            return false;
        }
    }
    return true;
}

static void eal_plan(const struct eal_options *options, const struct eal_machine *machine,
                     struct eal *eal, const int *cpus)
{
    eal->capture_secondary = options->capture_secondary;
    eal->packet_buffers = options->packet_buffers;
    eal->data_room_bytes = eal_data_room_bytes(options->nic, options->mtu);
    eal->memory_bytes =
        eal_memory_bytes(eal->lcore_count, options->packet_buffers, eal->data_room_bytes);
    eal->hugepage_size_bytes = machine->hugepage_size_bytes;
    for (int i = 0; i < eal->lcore_count; i++) {
        eal->lcore[i].lcore_id = (unsigned)i + 1;
        eal->lcore[i].cpu = cpus[i];
    }
    if (options->file_prefix[0] != '\0')
        snprintf(eal->file_prefix, sizeof(eal->file_prefix), "%s", options->file_prefix);
    else
        snprintf(eal->file_prefix, sizeof(eal->file_prefix), EAL_PREFIX "%d", machine->pid);
}

static bool eal_init(struct eal_args *args, char err[EAL_ERROR_SIZE])
{
    char detail[256];
    dpdk_log_start();
    dpdk_log_collect();
    int done = rte_eal_init(args->count, args->value);
    dpdk_log_collected(detail, sizeof(detail));
    if (done >= 0)
        return true;
    snprintf(err, EAL_ERROR_SIZE, "EAL did not start: %s%s%s", rte_strerror(rte_errno),
             detail[0] == '\0' ? "" : ": ", detail);
    return false;
}

bool eal_start(const struct eal_options *options, struct eal *eal, char err[EAL_ERROR_SIZE])
{
    static struct eal_machine machine;
    static struct eal_args args; /* EAL keeps pointers into it */
    int cpus[EAL_LCORES_MAX];
    memset(eal, 0, sizeof(*eal));
    if (strpbrk(options->file_prefix, "%/ ") != NULL || strlen(options->file_prefix) > 60) {
        snprintf(err, EAL_ERROR_SIZE, "file-prefix: at most 60 characters, no slash, %% or blank");
        return false;
    }
    machine_look(&machine);
    eal->lcore_count = eal_lcores_parse(options->lcores, &machine, cpus, err);
    if (eal->lcore_count == 0)
        return false;
    eal_plan(options, &machine, eal, cpus);
    if (!eal_hugepages_choose(options, &machine, eal->memory_bytes, &eal->hugepages, err))
        return false;
    signals_ignore();
    if (options->capture_secondary)
        capture_tailqs_register();
    eal_args_build(&args, options, eal, &machine, cpus);
    if (!eal_init(&args, err))
        return false;
    eal_folders_sweep();
    if (options->capture_secondary && rte_pdump_init() != 0) {
        snprintf(err, EAL_ERROR_SIZE, "capture-secondary yes: packet capture did not start: %s",
                 rte_strerror(rte_errno));
        return false;
    }
    for (int i = 0; i < eal->lcore_count; i++)
        eal->lcore[i].numa_node = (int)rte_lcore_to_socket_id(eal->lcore[i].lcore_id);
    return pools_make(eal, err);
}

bool eal_lcores_check(const char *lcores, char err[EAL_ERROR_SIZE])
{
    struct eal_machine *machine = malloc(sizeof(*machine));
    int cpus[EAL_LCORES_MAX];
    CHECK(machine);
    machine_look(machine);
    bool good = eal_lcores_parse(lcores, machine, cpus, err) > 0;
    free(machine);
    return good;
}

void eal_abandon(void)
{
    const char *folder = rte_eal_get_runtime_dir();
    if (folder != NULL && folder[0] != '\0')
        eal_folder_remove(folder);
}

void eal_lcore_launch(const struct eal *eal, int index, int (*run)(void *), void *arg)
{
    CHECK(index >= 0 && index < eal->lcore_count);
    CHECK(rte_eal_remote_launch(run, arg, eal->lcore[index].lcore_id) == 0);
}

void eal_lcores_join(const struct eal *eal)
{
    for (int i = 0; i < eal->lcore_count; i++) {
        /* rte_eal_wait_lcore() spins, and the caller may share its core with an lcore. */
        while (rte_eal_get_lcore_state(eal->lcore[i].lcore_id) != WAIT)
            usleep(1000);
        rte_eal_wait_lcore(eal->lcore[i].lcore_id);
    }
}

uint64_t eal_buffers_used(const struct eal *eal)
{
    uint64_t used = 0;
    for (int i = 0; i < eal->lcore_count; i++)
        used += rte_mempool_in_use_count(eal->lcore[i].pool);
    return used;
}

void eal_stop(struct eal *eal)
{
    for (int i = 0; i < eal->lcore_count; i++)
        rte_mempool_free(eal->lcore[i].pool);
    eal->lcore_count = 0;
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
    if (eal->capture_secondary)
        rte_pdump_uninit();
    rte_eal_cleanup();
    eal_folder_remove(folder);
}
