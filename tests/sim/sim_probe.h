/* Situations that a long enough run must have met at least once: a simulator that never gets there
 * proves nothing about them. */
#pragma once
#include "sim.h"

#define SIM_PROBES(X)                                                 \
    X(SEGMENT_LOST, "a segment was lost and came late")               \
    X(LINK_BROKEN, "a connection broke")                              \
    X(FRAME_IN_PIECES, "a frame came in two pieces")                  \
    X(PARTITION, "two sides could not hear each other")               \
    X(ONE_WAY, "a node was heard by nobody and heard all")            \
    X(PAUSE, "a process was stopped")                                 \
    X(STALL, "a control plane was stopped, its lcores not")           \
    X(LEASE_OVER, "lcores went on after the lease had ended")         \
    X(RING_WAITED, "a frame waited for a stopped control plane")      \
    X(CRASH_SILENT, "a node ended and nobody was told")               \
    X(CRASH_TOLD, "a node ended and its links with it")               \
    X(CRASH_IN_WRITE, "a node ended while its file was written")      \
    X(CRASH_KEPT_OLD, "and the old file was there afterwards")        \
    X(CRASH_KEPT_NEW, "and the new file was there afterwards")        \
    X(DISK_FAILED, "a file could not be written")                     \
    X(DISK_SLOW, "a file took longer than half a node timeout")       \
    X(VIEW_LATE, "an lcore saw a view more than 10 ms late")          \
    X(CLOCK_JUMP, "a wall clock jumped")                              \
    X(MOVED, "a node came back at another address")                   \
    X(PFAIL, "a node was suspected")                                  \
    X(FAIL, "a node was declared failed")                             \
    X(ELECTION, "votes were asked for")                               \
    X(WON_OURS, "one of ours won an election")                        \
    X(WON_STOCK, "a stock node won an election")                      \
    X(VOTE_OURS, "one of ours voted")                                 \
    X(VOTE_STOCK, "a stock node voted")                               \
    X(OURS_BY_STOCK, "one of ours won with a stock node's vote")      \
    X(STOCK_BY_OURS, "a stock node won with the vote of one of ours") \
    X(ELECTION_LOST, "votes were asked for and did not suffice")      \
    X(DEMOTED, "a primary became a replica")                          \
    X(MANUAL, "a manual failover went through")                       \
    X(PAUSED_SHOWN, "a primary showed PAUSED")                        \
    X(TAKEOVER, "a takeover")                                         \
    X(COLLISION, "two primaries had the same epoch")                  \
    X(UPDATE, "an UPDATE was sent")                                   \
    X(MINORITY, "a primary that is not ok refused a write")           \
    X(WRITE_LOST, "an acknowledged write was lost, as it may be")     \
    X(WRITE_MOVED, "a slot moved between primaries")                  \
    X(FULL_SYNC, "a replica synchronised in full")                    \
    X(PARTIAL_SYNC, "a replica went on where it was")                 \
    X(UNSYNCED, "a replica had nothing when its primary failed")      \
    X(CREATED, "a cluster was created by commands")                   \
    X(VOTE_DELAYED, "a vote waited for the disk")

enum sim_probe {
#define SIM_PROBE_ENUM(name, text) PROBE_##name,
    SIM_PROBES(SIM_PROBE_ENUM)
#undef SIM_PROBE_ENUM
        PROBE_COUNT
};

static inline void sim_probe(struct sim *sim, enum sim_probe probe)
{
    sim->probes[probe]++;
}
const char *sim_probe_text(enum sim_probe probe);
