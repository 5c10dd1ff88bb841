#include "fiber.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "check.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

struct fiber {
    ucontext_t inside, outside;
    uint8_t *memory; /* the guard page, then the stack */
    size_t memory_bytes, guard_bytes;
    void (*run)(void *arg);
    void *arg;
    bool begun, ended;
    /* What the sanitizers must know of a change of stacks. */
    const void *outside_stack;
    size_t outside_bytes;
    void *tsan_inside, *tsan_outside;
};

/* save: where the stack that is left keeps its state; NULL: it is never entered again. */
static void switch_begin(struct fiber *f, void **save, bool into)
{
#ifdef FIBER_ASAN
    if (into)
        __sanitizer_start_switch_fiber(save, f->memory + f->guard_bytes,
                                       f->memory_bytes - f->guard_bytes);
    else
        __sanitizer_start_switch_fiber(save, f->outside_stack, f->outside_bytes);
#endif
#ifdef FIBER_TSAN
    if (into)
        f->tsan_outside = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(into ? f->tsan_inside : f->tsan_outside, 0);
#endif
}

static void switch_end(struct fiber *f, void *saved, bool into)
{
#ifdef FIBER_ASAN
    if (into)
        __sanitizer_finish_switch_fiber(saved, &f->outside_stack, &f->outside_bytes);
    else
        __sanitizer_finish_switch_fiber(saved, NULL, NULL);
#endif
}

struct fiber *fiber_new(void)
{
    struct fiber *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->guard_bytes = (size_t)sysconf(_SC_PAGESIZE);
    f->memory_bytes = f->guard_bytes + FIBER_STACK_BYTES;
    f->memory = mmap(NULL, f->memory_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (f->memory == MAP_FAILED || mprotect(f->memory, f->guard_bytes, PROT_NONE) != 0) {
        if (f->memory != MAP_FAILED)
            munmap(f->memory, f->memory_bytes);
        free(f);
        return NULL;
    }
    f->ended = true;
#ifdef FIBER_TSAN
    f->tsan_inside = __tsan_create_fiber(0);
#endif
    return f;
}

void fiber_free(struct fiber *f)
{
    if (!f)
        return;
    CHECK(f->ended || !f->begun);
#ifdef FIBER_TSAN
    __tsan_destroy_fiber(f->tsan_inside);
#endif
    munmap(f->memory, f->memory_bytes);
    free(f);
}

/* makecontext() passes ints. */
static void fiber_main(unsigned high, unsigned low)
{
    struct fiber *f = (struct fiber *)((uintptr_t)high << 32 |
                                       (uintptr_t)low); // NOLINT(performance-no-int-to-ptr)
    switch_end(f, NULL, true);
    f->run(f->arg);
    f->ended = true;
    switch_begin(f, NULL, false);
    setcontext(&f->outside);
}

void fiber_start(struct fiber *f, void (*run)(void *arg), void *arg)
{
    CHECK(f->ended);
    f->run = run;
    f->arg = arg;
    f->ended = f->begun = false;
    CHECK(getcontext(&f->inside) == 0);
    f->inside.uc_stack.ss_sp = f->memory + f->guard_bytes;
    f->inside.uc_stack.ss_size = f->memory_bytes - f->guard_bytes;
    f->inside.uc_link = NULL;
    makecontext(&f->inside, (void (*)(void))fiber_main, 2, (unsigned)((uintptr_t)f >> 32),
                (unsigned)(uintptr_t)f);
}

bool fiber_resume(struct fiber *f)
{
    void *saved = NULL;
    CHECK(!f->ended);
    f->begun = true;
    switch_begin(f, &saved, true);
    CHECK(swapcontext(&f->outside, &f->inside) == 0);
    switch_end(f, saved, false);
    return f->ended;
}

void fiber_yield(struct fiber *f)
{
    void *saved = NULL;
    CHECK(f->begun && !f->ended);
    switch_begin(f, &saved, false);
    CHECK(swapcontext(&f->inside, &f->outside) == 0);
    switch_end(f, saved, true);
}
