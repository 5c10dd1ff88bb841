/* Real commands on several lcores, each a thread, descheduled at random: every history of replies
 * must be linearisable, and what transactions keep must hold through long runs.
 *
 *   linear_test [--seed S] [--operations N] [--scenario I]   N: of all rounds; games do GAME_SHARE
 * times as many
 *
 * The seed repeats what the clients ask and when they are hit; what the scheduler makes of it is
 * its own. SLOTWIRE_LONG=1: ten times more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "games.h"
#include "rounds.h"

#define OPERATIONS 360000
#define GAME_SHARE 4
#define FAULT_OPERATIONS 200000 /* at most, to find one fault */

struct options {
    uint64_t seed, operations;
    int scenario; /* -1: all */
};

static void print_line(const char *name, uint64_t operations, uint64_t start_ns,
                       const struct disturb_counts *hits, const char *end)
{
    printf("  %-34s %8llu operations in %6.1f s; descheduled %6llu times, %5llu with a lock%s\n",
           name, (unsigned long long)operations, (double)(lane_now_ns() - start_ns) / 1e9,
           (unsigned long long)hits->hits, (unsigned long long)hits->holding, end);
    fflush(stdout);
}

static bool run_scenario(const struct options *o, unsigned index, uint64_t share)
{
    struct rounds_result result;
    const struct rounds rounds = {.seed = o->seed + index, .operations_wanted = share};
    uint64_t start_ns = lane_now_ns();
    rounds_run(&scenarios[index], &rounds, &result);
    print_line(scenarios[index].name, result.operations, start_ns, &result.hits,
               result.violated ? ": NOT LINEARISABLE" : "");
    return !result.violated;
}

static void run_game(const struct options *o, unsigned index, uint64_t share)
{
    struct game_result result;
    uint64_t start_ns = lane_now_ns();
    game_run(&games[index], o->seed + index, share, &result);
    print_line(games[index].name, result.operations, start_ns, &result.hits, "");
}

/* Broken clients must be found; where all commands are used. */
static bool run_fault(const struct options *o, enum fault fault)
{
    struct rounds_result result;
    const struct rounds rounds = {
        .seed = o->seed + fault, .operations_wanted = FAULT_OPERATIONS, .fault = fault};
    rounds_run(&scenarios[4], &rounds, &result);
    printf("  %-34s %s after %llu operations\n", fault_name(fault),
           result.violated ? "found" : "NOT FOUND", (unsigned long long)result.operations);
    fflush(stdout);
    return result.violated;
}

static bool options_parse(int argc, char **argv, struct options *o)
{
    const char *many = getenv("SLOTWIRE_LONG");
    random_secret(&o->seed, sizeof(o->seed));
    o->seed %= 1000000000;
    o->operations = many && *many ? 10 * OPERATIONS : OPERATIONS;
    o->scenario = -1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            o->seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--operations") == 0)
            o->operations = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--scenario") == 0)
            o->scenario = atoi(argv[i + 1]);
        else
            return false;
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv)
{
    struct options o;
    bool good = true;
    if (!options_parse(argc, argv, &o)) {
        fprintf(stderr, "usage: %s [--seed S] [--operations N] [--scenario I]\n", argv[0]);
        return 2;
    }
    disturb_init();
    printf("repeat with --seed %llu\n", (unsigned long long)o.seed);
    for (unsigned i = 0; i < scenario_count; i++)
        if (o.scenario < 0 || o.scenario == (int)i)
            good &= run_scenario(&o, i, o.operations / scenario_count);
    for (enum fault f = FAULT_NONE + 1; o.scenario < 0 && f < FAULTS; f++)
        good &= run_fault(&o, f);
    for (unsigned i = 0; o.scenario < 0 && i < game_count; i++)
        run_game(&o, i, GAME_SHARE * o.operations / game_count);
    return good ? 0 : 1;
}
