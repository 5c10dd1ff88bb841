#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sim.h"

#define SHOWN 80 /* of the last events, when a run fails */

static struct sim *watched;
static char replay_text[256];

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static const char *const kind_texts[NOTE_KINDS] = {
    [NOTE_TICK] = "tick",           [NOTE_FRAME] = "frame",     [NOTE_LINK_UP] = "link up",
    [NOTE_LINK_DOWN] = "link down", [NOTE_PERSIST] = "persist", [NOTE_DURABLE] = "durable",
    [NOTE_VIEW] = "view",           [NOTE_SETTLED] = "settled", [NOTE_CRASH] = "crash",
    [NOTE_START] = "start",         [NOTE_FREEZE] = "freeze",   [NOTE_THAW] = "thaw",
    [NOTE_FAULT] = "fault",         [NOTE_HEAL] = "heal",       [NOTE_WRITE] = "write",
    [NOTE_REFUSED] = "refused",     [NOTE_ROLE] = "role",       [NOTE_SYNC] = "sync",
    [NOTE_ADMIN] = "command",       [NOTE_OWNER] = "owner",
};

static void note_print(const struct sim_note *note)
{
    printf("[%10.3f] ", (double)(note->at_us - SIM_START_US) / 1000);
    if (note->node == UINT16_MAX)
        printf("  - ");
    else
        printf("%3u ", note->node);
    if (note->kind == NOTE_FRAME)
        printf("%s from %u, epoch %llu, config %llu, offset %u\n", bus_type_text(note->type),
               (unsigned)(note->a & 0xff), (unsigned long long)note->b, (unsigned long long)note->c,
               (unsigned)(note->a >> 32));
    else
        printf("%s %llu %llu %llu\n", kind_texts[note->kind], (unsigned long long)note->a,
               (unsigned long long)note->b, (unsigned long long)note->c);
}

void sim_note(struct sim *sim, const struct sim_node *node, struct sim_note note)
{
    note.at_us = sim->now_us;
    note.node = node ? (uint16_t)node->index : UINT16_MAX;
    uint64_t hash = mix(sim->hash, note.at_us ^ (uint64_t)note.node << 48);
    hash = mix(hash, (uint64_t)note.kind << 8 | note.type);
    sim->hash = mix(mix(mix(hash, note.a), note.b), note.c);
    sim->notes[sim->note_count++ % SIM_NOTES] = note;
    bool usual = note.kind == NOTE_TICK || note.kind == NOTE_WRITE ||
                 (note.kind == NOTE_FRAME && note.type <= BUS_PONG);
    if (sim->options.trace && !usual)
        note_print(&note);
}

void sim_text(struct sim *sim, const struct sim_node *node, const char *format, ...)
{
    if (!sim->options.trace)
        return;
    va_list args;
    va_start(args, format);
    printf("[%10.3f] %3d ", (double)(sim->now_us - SIM_START_US) / 1000,
           node ? (int)node->index : -1);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

static void last_events(const struct sim *sim)
{
    uint64_t last = sim->note_count;
    uint64_t first = last > SIM_NOTES ? last - SIM_NOTES : 0, skipped = 0;
    printf("the last events:\n");
    /* Of PINGs and ticks there are thousands: only the newest of those. */
    for (uint64_t i = first; i < last; i++) {
        const struct sim_note *note = &sim->notes[i % SIM_NOTES];
        bool usual = note->kind == NOTE_TICK || (note->kind == NOTE_FRAME && note->type <= 1);
        if (usual && i + SHOWN < last)
            skipped++;
        else
            note_print(note);
    }
    printf("(%llu usual ones left out)\n", (unsigned long long)skipped);
}

static void replay_print(const struct sim *sim)
{
    printf("seed %llu, %llu steps, at %.3f ms; replay: %s\n", (unsigned long long)sim->options.seed,
           (unsigned long long)sim->steps, (double)(sim->now_us - SIM_START_US) / 1000,
           replay_text);
    fflush(stdout);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list args;
    last_events(sim);
    printf("FAILED: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    replay_print(sim);
    _exit(1);
}

/* The process is at its end: what it says here need not be safe in a handler. */
static void on_abort(int signal_number)
{
    if (watched) {
        last_events(watched);
        printf("FAILED: a CHECK of the code under test\n");
        replay_print(watched);
    }
    fflush(stdout);
    _exit(1);
}

void sim_trace_watch(struct sim *sim, const char *replay)
{
    watched = sim;
    snprintf(replay_text, sizeof(replay_text), "%s", replay);
    signal(SIGABRT, on_abort);
}
