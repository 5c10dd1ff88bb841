/* nodes.conf on its disk: replaced as a whole, durable when the write has ended. A crash in between
 * leaves the old or the new text, and so does a write whose last fsync failed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "sim.h"
#include "sim_mutant.h"
#include "sim_probe.h"

static void conf_parse(struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    char err[NODES_CONF_ERROR_SIZE];
    if (disk->conf)
        nodes_conf_free(disk->conf);
    disk->conf = nodes_conf_parse(slice_from(disk->text, disk->len), err);
    if (!disk->conf && node->sim->options.trace)
        printf("%.*s", (int)disk->len, disk->text);
    if (!disk->conf)
        sim_fail(node->sim, "the file of node %u is refused: %s", node->index, err);
    disk->generation++;
}

void sim_disk_put(struct sim_node *node, char *text, size_t len)
{
    struct sim_disk *disk = &node->disk;
    free(disk->text);
    free(disk->maybe);
    disk->text = text;
    disk->len = len;
    disk->maybe = NULL;
    conf_parse(node);
}

void sim_disk_write(struct sim_node *node, uint64_t ticket, char *text, size_t len)
{
    struct sim *sim = node->sim;
    struct sim_disk *disk = &node->disk;
    if (disk->ticket != 0)
        sim_fail(sim, "node %u writes its file twice at once", node->index);
    disk->ticket = ticket;
    disk->writing = text;
    disk->writing_len = len;
    uint64_t delay_us = disk->delay_us + rng_below(&sim->rng, disk->delay_us + 1);
    if (delay_us > sim_timeout_us(sim) / 2)
        sim_probe(sim, PROBE_DISK_SLOW);
    sim_later(sim, node, SIM_DURABLE, delay_us, ticket);
}

bool sim_disk_written(struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    CHECK(disk->ticket != 0);
    disk->ticket = 0;
    char *text = disk->writing;
    disk->writing = NULL;
    if (sim_mutant(node->sim, MUTANT_PERSIST_NEVER) && disk->text) {
        free(text);
        return true;
    }
    if (!disk->fails) {
        sim_disk_put(node, text, disk->writing_len);
        return true;
    }
    sim_probe(node->sim, PROBE_DISK_FAILED);
    free(disk->maybe);
    disk->maybe = NULL;
    if (sim_chance(node->sim, 500)) {
        disk->maybe = text; /* renamed, but the folder's fsync failed */
        disk->maybe_len = disk->writing_len;
    } else {
        free(text);
    }
    return false;
}

void sim_disk_crash(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct sim_disk *disk = &node->disk;
    if (disk->maybe && sim_chance(sim, 500)) {
        char *text = disk->maybe;
        disk->maybe = NULL;
        sim_disk_put(node, text, disk->maybe_len);
    }
    if (disk->ticket != 0) {
        sim_probe(sim, PROBE_CRASH_IN_WRITE);
        bool kept = sim_chance(sim, 500);
        sim_probe(sim, kept ? PROBE_CRASH_KEPT_NEW : PROBE_CRASH_KEPT_OLD);
        if (kept)
            sim_disk_put(node, disk->writing, disk->writing_len);
        else
            free(disk->writing);
        disk->writing = NULL;
        disk->ticket = 0;
    }
    free(disk->maybe);
    disk->maybe = NULL;
    if (sim_mutant(sim, MUTANT_FILE_TORN) && disk->len > 0) {
        disk->len /= 2;
        conf_parse(node);
    }
}

void sim_disk_free(struct sim_disk *disk)
{
    free(disk->text);
    free(disk->writing);
    free(disk->maybe);
    if (disk->conf)
        nodes_conf_free(disk->conf);
    *disk = (struct sim_disk){0};
}
