/* Saves nodes.conf on a helper thread, so that no disk holds up the control thread.
 *
 * Owner: the control thread makes every call here; done runs on it too, by mail. One save is under
 * way, at most one waits: a newer one takes the place of the one that waits, since its text says
 * everything, and what is told of the newer ticket holds for the older. So memory is bounded by
 * three texts. A disk that is slow or fails is told, never waited for.
 *
 * Memory ordering: a save belongs to one thread at a time and changes hands by mail_post() and its
 * receiver's acquire. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"
#include "nodes_file.h"

struct nodes_writer;

/* Every save up to ticket is decided. ok: they are durable. Else error says why, and the newest
 * text is to be saved again. */
typedef void (*nodes_saved_fn)(void *arg, uint64_t ticket, bool ok, const char *error);

/* Starts the thread; borrows file until nodes_writer_stopped(). NULL: no thread. */
struct nodes_writer *nodes_writer_start(struct nodes_file *file, struct mailbox *control,
                                        nodes_saved_fn done, void *arg);
/* Takes text (malloc). Tickets rise. */
void nodes_writer_save(struct nodes_writer *w, uint64_t ticket, char *text, size_t len,
                       uint64_t now_us);
/* How long the save under way has taken so far; 0: none is. For an alarm about a slow disk. */
uint64_t nodes_writer_waiting_us(const struct nodes_writer *w, uint64_t now_us);
/* Lets the save under way end (the one that waits is dropped), then the thread. Nothing more is
 * told. */
void nodes_writer_stop(struct nodes_writer *w);
/* Has the thread ended? After true only nodes_writer_free() may be called. While it is false a disk
 * has not answered: who can't wait leaves writer and file as they are and ends the process. */
bool nodes_writer_stopped(struct nodes_writer *w);
/* After nodes_writer_stopped(), and after what lies in the control thread's mailbox was run. */
void nodes_writer_free(struct nodes_writer *w);
