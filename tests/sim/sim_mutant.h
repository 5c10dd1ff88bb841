/* Defects put between the code under test and its world, to show that the checks find them: what a
 * node is told or what it says is changed on the way. The code under test knows nothing of it. */
#pragma once
#include "sim.h"

#define SIM_MUTANTS(X)                                                                     \
    X(NONE, "none", "nothing")                                                             \
    X(PERSIST_EARLY, "persist-early", "PERSISTED is told when the write begins")           \
    X(PERSIST_NEVER, "persist-never", "PERSISTED is told, nothing is written")             \
    X(ACK_MULTIPLIED, "ack-multiplied", "one vote counts for as many voters as are known") \
    X(ACK_ALWAYS, "ack-always", "a primary votes for whoever asks")                        \
    X(ACK_LATE, "ack-late", "a vote is encoded again with the epoch of the moment")        \
    X(SETTLED_EARLY, "settled-early", "SETTLED is told before lcores saw the view")        \
    X(LEASE_FOREVER, "lease-forever", "lcores go on without their control plane")          \
    X(FAIL_ALONE, "fail-alone", "FAIL is told on a single suspicion")                      \
    X(FRAMES_EATEN, "frames-eaten", "frames of one peer do not reach the state")           \
    X(ID_FORGOTTEN, "id-forgotten", "a node starts anew instead of reading its file")      \
    X(EPOCH_HELD, "epoch-held", "a winner shows the epoch of its predecessor")             \
    X(EPOCH_RAISED, "epoch-raised", "old claims arrive with a new epoch")                  \
    X(PAUSE_LEAKS, "pause-leaks", "writes go on while PAUSED is shown")                    \
    X(SYNC_CLAIMED, "sync-claimed", "a replica without data says that it has all")         \
    X(VIEW_LOST, "view-lost", "lcores keep the view in which they were primary")           \
    X(FILE_TORN, "file-torn", "the file is cut short by a crash")

enum sim_mutant {
#define SIM_MUTANT_ENUM(name, word, text) MUTANT_##name,
    SIM_MUTANTS(SIM_MUTANT_ENUM)
#undef SIM_MUTANT_ENUM
        MUTANT_COUNT
};

struct sim_mutant_row {
    const char *word, *text;
};
extern const struct sim_mutant_row sim_mutant_rows[MUTANT_COUNT];

static inline bool sim_mutant(const struct sim *sim, enum sim_mutant mutant)
{
    return sim->options.mutant == mutant;
}
/* What a node of ours says; the frame to send instead (one reference more) or NULL: this one. */
struct cluster_frame *sim_mutant_send(struct sim_node *node, cluster_link_id link,
                                      struct cluster_frame *frame);
/* What it is told; *frame may be exchanged in the given memory. False: it does not come. */
bool sim_mutant_frame(struct sim_node *node, cluster_link_id link, struct slice *frame,
                      uint8_t *memory);
#define SIM_MUTANT_MEMORY (64u << 10)
