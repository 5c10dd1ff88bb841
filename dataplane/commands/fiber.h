/* A stack of its own for work that stops in the middle and goes on later (docs/adr/0004), so that
 * one handler serves short and long commands alike.
 *
 * Owner: one thread, which is the only one to resume it. A fiber runs between fiber_resume() and
 * the next fiber_yield() or its end; it must not be freed while it has begun and not ended. Nothing
 * is preempted. A fiber costs address space of FIBER_STACK_BYTES, memory only as far as it is used,
 * and each switch a system call (the signal mask), which pieces of tens of microseconds make cheap.
 * A page without access lies below the stack. */
#pragma once
#include <stdbool.h>

#ifdef SW_SANITIZE
#define FIBER_STACK_BYTES (1u << 20)
#else /* liblzf takes 256 KB of it */
#define FIBER_STACK_BYTES (512u << 10)
#endif

struct fiber;

/* NULL: out of memory. */
struct fiber *fiber_new(void);
void fiber_free(struct fiber *f);
/* run(arg) begins with the next resume; the fiber must be new or at its end. */
void fiber_start(struct fiber *f, void (*run)(void *arg), void *arg);
/* True: run() has returned. */
bool fiber_resume(struct fiber *f);
/* From within run() only. */
void fiber_yield(struct fiber *f);
