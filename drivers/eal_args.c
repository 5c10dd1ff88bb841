#include "eal_args.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "port_spec.h"

#define MB ((size_t)1 << 20)
/* Beside its data room a buffer has struct rte_mbuf, headroom, the pool's header and padding. */
#define BUFFER_OVERHEAD_BYTES 576
/* Rings, queues, hash tables, telemetry; and per lcore descriptor rings and GSO's small pools. */
#define BASE_BYTES (48 * MB)
#define LCORE_BYTES (6 * MB)
#define DATA_ROOM_DEFAULT 2048
#define FRAME_OVERHEAD_BYTES 22 /* Ethernet header and two VLAN tags */

static bool cpu_named(const int *cpus, int count, long cpu)
{
    for (int i = 0; i < count; i++)
        if (cpus[i] == cpu)
            return true;
    return false;
}

static bool cpu_allowed(const struct eal_machine *machine, long cpu)
{
    for (int i = 0; i < machine->cpu_count; i++)
        if (machine->cpu[i] == cpu)
            return true;
    return false;
}

static int cpu_list_fail(const char *spec, char *err, const char *why)
{
    snprintf(err, EAL_ERROR_SIZE,
             "lcores \"%.100s\": %s (a number, or a list of CPUs such as \"0,2-3\")", spec, why);
    return 0;
}

static int cpu_list_parse(const char *spec, const struct eal_machine *machine, int *cpus, char *err)
{
    int count = 0;
    const char *p = spec;
    for (;;) {
        char *end;
        if (*p < '0' || *p > '9')
            return cpu_list_fail(spec, err, "a CPU number is missing");
        long first = strtol(p, &end, 10);
        long last = first;
        if (*end == '-') {
            p = end + 1;
            if (*p < '0' || *p > '9')
                return cpu_list_fail(spec, err, "a CPU number is missing");
            last = strtol(p, &end, 10);
        }
        if (first > last || last >= EAL_CPUS_MAX)
            return cpu_list_fail(spec, err, "a range is reversed or too large");
        for (long cpu = first; cpu <= last; cpu++) {
            if (count == EAL_LCORES_MAX)
                return cpu_list_fail(spec, err, "more than 62 lcores");
            if (!cpu_allowed(machine, cpu))
                return cpu_list_fail(spec, err, "this process may not run on one of these CPUs");
            if (cpu_named(cpus, count, cpu))
                return cpu_list_fail(spec, err, "a CPU is named twice");
            cpus[count++] = (int)cpu;
        }
        if (*end == '\0')
            return count;
        if (*end != ',')
            return cpu_list_fail(spec, err, "not understood");
        p = end + 1;
    }
}

int eal_lcores_parse(const char *spec, const struct eal_machine *machine, int *cpus,
                     char err[EAL_ERROR_SIZE])
{
    CHECK(machine->cpu_count > 0);
    if (strpbrk(spec, ",-") != NULL)
        return cpu_list_parse(spec, machine, cpus, err);
    char *end;
    long count = strtol(spec, &end, 10);
    if (*spec < '0' || *spec > '9' || *end != '\0')
        return cpu_list_fail(spec, err, "not understood");
    if (count < 1 || count > EAL_LCORES_MAX)
        return cpu_list_fail(spec, err, "must be 1 to 62 lcores");
    for (int i = 0; i < count; i++)
        cpus[i] = machine->cpu[i % machine->cpu_count];
    return (int)count;
}

uint16_t eal_data_room_bytes(const char *nic, uint16_t mtu)
{
    struct port_spec spec;
    char err[PORT_SPEC_ERROR_SIZE];
    unsigned frame = (unsigned)mtu + FRAME_OVERHEAD_BYTES;
    if (frame <= DATA_ROOM_DEFAULT)
        return DATA_ROOM_DEFAULT;
    bool known = port_spec_parse(nic, &spec, err);
    /* Ports that scatter a frame over several buffers do not need large ones. */
    if (known && port_kind_get(spec.kind)->scatters)
        return DATA_ROOM_DEFAULT;
    /* The driver copies whatever stands in a slot of its ring, unasked. */
    if (known && spec.kind == PORT_KIND_AF_PACKET)
        return (uint16_t)port_spec_ring_frame_bytes(mtu);
    return (uint16_t)((frame + 63) & ~63u);
}

size_t eal_memory_bytes(int lcore_count, uint32_t packet_buffers, uint16_t data_room_bytes)
{
    size_t pool = (size_t)packet_buffers * (data_room_bytes + BUFFER_OVERHEAD_BYTES);
    size_t all = BASE_BYTES + (size_t)lcore_count * (pool + LCORE_BYTES);
    return (all + MB - 1) / MB * MB;
}

bool eal_hugepages_choose(const struct eal_options *options, const struct eal_machine *machine,
                          size_t memory_bytes, bool *use, char err[EAL_ERROR_SIZE])
{
    size_t page = machine->hugepage_size_bytes;
    size_t wanted = page == 0 ? 0 : (memory_bytes + page - 1) / page;
    bool enough = page != 0 && machine->hugepages_free >= wanted;
    *use = options->hugepages != HUGEPAGES_NO && enough;
    if (options->hugepages == HUGEPAGES_YES && page == 0) {
        snprintf(err, EAL_ERROR_SIZE,
                 "hugepages yes: this kernel has no hugepages; set hugepages no");
        return false;
    }
    if (options->hugepages == HUGEPAGES_YES && !enough) {
        snprintf(err, EAL_ERROR_SIZE,
                 "hugepages yes: %zu free pages of %zu kB are needed and there are %zu; as root: "
                 "echo %zu > /sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages, or lower "
                 "packet-buffers, or set hugepages auto",
                 wanted, page >> 10, machine->hugepages_free, wanted - machine->hugepages_free,
                 page >> 10);
        return false;
    }
    if (options->capture_secondary && !*use) {
        snprintf(err, EAL_ERROR_SIZE,
                 "capture-secondary yes shares hugepages with dpdk-dumpcap: it needs hugepages yes "
                 "and %zu free pages of %zu kB (there are %zu)",
                 wanted, page >> 10, machine->hugepages_free);
        return false;
    }
    if (options->capture_secondary && !machine->hugetlbfs_mounted) {
        snprintf(err, EAL_ERROR_SIZE,
                 "capture-secondary yes needs hugetlbfs; as root: mkdir -p /dev/hugepages; "
                 "mount -t hugetlbfs none /dev/hugepages");
        return false;
    }
    return true;
}

static void arg_add(struct eal_args *args, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void arg_add(struct eal_args *args, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *at = args->text + args->text_len;
    size_t room = sizeof(args->text) - args->text_len;
    int len = vsnprintf(at, room, format, list);
    va_end(list);
    CHECK(len >= 0 && (size_t)len < room);
    CHECK(args->count < EAL_ARGS_MAX - 1);
    args->value[args->count++] = at;
    args->value[args->count] = NULL;
    args->text_len += (size_t)len + 1;
}

/* Lcore 0 is the control thread, free to run on every CPU; 1 ... are the node's lcores. */
static void args_lcores(struct eal_args *args, const struct eal *eal,
                        const struct eal_machine *machine, const int *cpus)
{
    char map[EAL_ARG_SIZE / 2];
    size_t len = 0;
    for (int i = 0; i < machine->cpu_count; i++)
        len += (size_t)snprintf(map + len, sizeof(map) - len, "%s%d", i == 0 ? "0@(" : ",",
                                machine->cpu[i]);
    len += (size_t)snprintf(map + len, sizeof(map) - len, ")");
    for (int i = 0; i < eal->lcore_count; i++)
        len += (size_t)snprintf(map + len, sizeof(map) - len, ",%d@%d", i + 1, cpus[i]);
    CHECK(len < sizeof(map));
    arg_add(args, "--lcores=%s", map);
    arg_add(args, "--main-lcore=0");
}

void eal_args_build(struct eal_args *args, const struct eal_options *options, const struct eal *eal,
                    const struct eal_machine *machine, const int *cpus)
{
    struct port_spec spec;
    char ignored[PORT_SPEC_ERROR_SIZE];
    memset(args, 0, sizeof(*args));
    arg_add(args, "slotwire");
    args_lcores(args, eal, machine, cpus);
    arg_add(args, "--file-prefix=%s", eal->file_prefix);
    arg_add(args, "-m");
    arg_add(args, "%zu", eal->memory_bytes / MB);
    if (!eal->hugepages) {
        /* --no-huge refuses --in-memory; --no-shconf keeps processes apart just as well. */
        arg_add(args, "--no-huge");
        arg_add(args, "--no-shconf");
    } else if (!options->capture_secondary) {
        arg_add(args, "--in-memory");
        arg_add(args, "--single-file-segments");
    }
    if (port_spec_parse(options->nic, &spec, ignored) && spec.kind == PORT_KIND_PCI) {
        arg_add(args, "-a");
        arg_add(args, "%s", spec.target);
    } else {
        arg_add(args, "--no-pci");
        arg_add(args, "--iova-mode=va");
    }
    arg_add(args, "--log-level=*:warning");
}
