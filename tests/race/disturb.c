#include "disturb.h"
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include "check.h"

#define SIGNAL SIGRTMIN
#define YIELDS_MAX 20
#define NAP_US 100
#define NAP_LONG_US 3000

static _Thread_local struct disturb *mine;

void disturb_sleep_us(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

static bool holds_any(const struct disturb *d)
{
    for (unsigned i = 0; i < d->slot_count; i++)
        if (ks_holds(d->ks, d->slots[i]))
            return true;
    return false;
}

static void hit(int signal)
{
    int saved = errno;
    struct disturb *d = mine;
    if (!d)
        return; /* ThreadSanitizer delivers late */
    d->counts.hits++;
    d->counts.holding += holds_any(d);
    uint64_t kind = rng_below(&d->rng, 10);
    if (kind < 6) {
        for (uint64_t i = 1 + rng_below(&d->rng, YIELDS_MAX); i > 0; i--)
            sched_yield();
    } else {
        d->counts.slept++;
        disturb_sleep_us(NAP_US + rng_below(&d->rng, kind < 9 ? NAP_US * 3 : NAP_LONG_US));
    }
    errno = saved;
}

void disturb_init(void)
{
    struct sigaction action = {.sa_handler = hit, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGNAL, &action, NULL) == 0);
}

void disturb_begin(struct disturb *d)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL};
    event._sigev_un._tid = gettid();
    mine = d;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &d->timer) == 0);
}

void disturb_end(struct disturb *d)
{
    sigset_t set;
    CHECK(timer_delete(d->timer) == 0);
    /* One that is still under way comes now or never. */
    sigemptyset(&set);
    sigaddset(&set, SIGNAL);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    mine = NULL;
}

void disturb_soon(struct disturb *d, struct rng *delay_rng, uint32_t within_us)
{
    uint64_t ns = 1 + rng_below(delay_rng, (uint64_t)within_us * 1000);
    struct itimerspec when = {
        .it_value = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)},
    };
    CHECK(timer_settime(d->timer, 0, &when, NULL) == 0);
}

void disturb_pin(unsigned index)
{
    cpu_set_t allowed, one;
    CHECK(sched_getaffinity(getpid(), sizeof(allowed), &allowed) == 0);
    unsigned skip = index % (unsigned)CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || skip-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
        return;
    }
}
