/* The simulator's command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "sim_mutant.h"
#include "sim_probe.h"
#include "sim_random.h"
#include "sim_scenario.h"

#define SECONDS_USUAL 60
#define SECONDS_LONG 600
#define SEEDS_USUAL 2000
#define MUTANT_SEEDS 60
#define SAME_SEEDS 6
#define JOBS_MAX 64

static const char usage_text[] =
    "sim [--seeds N] [--first N] [--seconds N] [--long] [--jobs N]   random runs\n"
    "sim --seed N [--seconds N] [--mutant WORD] [--trace]            one of them\n"
    "sim --same                     the same seed twice gives the same run\n"
    "sim --scenario NAME|all [--seed N] [--trace]\n"
    "sim --mutants [--mutant WORD]  each defect that is put in is found\n";

struct arguments {
    uint64_t seed, seeds, first, seconds;
    unsigned jobs;
    unsigned mutant;
    const char *scenario;
    bool one, same, mutants, trace, probes;
};

/* ---- random runs ---- */

static void runs_do(const struct arguments *a, unsigned job, uint32_t *probes)
{
    for (uint64_t i = job; i < a->seeds; i += a->jobs) {
        struct sim_run run = {
            .seed = a->first + i, .seconds = a->seconds, .mutant = a->mutant, .probes = probes};
        sim_random_run(&run);
        probes[PROBE_COUNT]++;
    }
}

/* Waits for all; false: one has failed, the others were ended. */
static bool jobs_wait(pid_t *pids, unsigned count)
{
    bool ok = true;
    for (unsigned left = count; left > 0; left--) {
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < count; i++)
            if (pids[i] == pid)
                pids[i] = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (WIFSIGNALED(status) && ok)
            printf("a run ended by signal %d\n", WTERMSIG(status));
        for (unsigned i = 0; i < count; i++)
            if (pids[i] > 0 && ok)
                kill(pids[i], SIGTERM);
        ok = false;
    }
    return ok;
}

static bool probes_report(const struct arguments *a, const uint32_t *probes)
{
    bool all = true;
    for (unsigned i = 0; i < PROBE_COUNT; i++) {
        if (a->probes)
            printf("%10u  %s\n", probes[i], sim_probe_text(i));
        if (probes[i] > 0)
            continue;
        all = false;
        printf("never: %s\n", sim_probe_text(i));
    }
    return all;
}

static int runs(const struct arguments *a)
{
    pid_t pids[JOBS_MAX];
    size_t size = (PROBE_COUNT + 1) * sizeof(uint32_t);
    uint32_t *probes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(probes != MAP_FAILED);
    fflush(stdout);
    for (unsigned job = 0; job < a->jobs; job++) {
        pids[job] = fork();
        CHECK(pids[job] >= 0);
        if (pids[job] == 0) {
            runs_do(a, job, probes);
            fflush(stdout);
            _exit(0);
        }
    }
    if (!jobs_wait(pids, a->jobs))
        return 1;
    printf("%llu seeds of %llu s: every invariant held\n", (unsigned long long)a->seeds,
           (unsigned long long)a->seconds);
    bool all = probes_report(a, probes);
    munmap(probes, size);
    return all || a->seeds < SEEDS_USUAL ? 0 : 1;
}

static int one(const struct arguments *a)
{
    struct sim_run run = {
        .seed = a->seed, .seconds = a->seconds, .mutant = a->mutant, .trace = a->trace};
    sim_random_run(&run);
    printf("seed %llu: %llu steps, %llu writes, hash %016llx\n", (unsigned long long)run.seed,
           (unsigned long long)run.steps, (unsigned long long)run.writes,
           (unsigned long long)run.hash);
    return 0;
}

static int same(const struct arguments *a)
{
    uint64_t hashes[SAME_SEEDS];
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < SAME_SEEDS; i++) {
            struct sim_run run = {.seed = a->first + i, .seconds = SECONDS_USUAL / 2};
            sim_random_run(&run);
            if (round == 1 && hashes[i] != run.hash) {
                printf("FAILED: seed %llu is not the same twice\n", (unsigned long long)run.seed);
                return 1;
            }
            hashes[i] = run.hash;
        }
    for (unsigned i = 1; i < SAME_SEEDS; i++)
        CHECK(hashes[i] != hashes[0]);
    printf("%u seeds, twice the same\n", SAME_SEEDS);
    return 0;
}

/* ---- mutants ---- */

/* Prints what was found. */
static void verdict_print(FILE *from)
{
    char line[512];
    rewind(from);
    while (fgets(line, sizeof(line), from))
        if (strncmp(line, "FAILED", 6) == 0)
            printf("    %s", line);
}

static bool mutant_found(const struct arguments *a, unsigned mutant)
{
    FILE *said = tmpfile();
    int status;
    CHECK(said);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(fileno(said), STDOUT_FILENO);
        dup2(fileno(said), STDERR_FILENO);
        for (uint64_t i = 0; i < MUTANT_SEEDS; i++) {
            struct sim_run run = {.seed = a->first + i, .seconds = SECONDS_USUAL, .mutant = mutant};
            sim_random_run(&run);
        }
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    bool found = WIFEXITED(status) && WEXITSTATUS(status) == 1;
    printf("%-16s %s: %s\n", sim_mutant_rows[mutant].word, found ? "found" : "NOT FOUND",
           sim_mutant_rows[mutant].text);
    if (found)
        verdict_print(said);
    fclose(said);
    return found;
}

static int mutants(const struct arguments *a)
{
    bool all = true;
    for (unsigned i = MUTANT_NONE + 1; i < MUTANT_COUNT; i++)
        if (a->mutant == MUTANT_NONE || a->mutant == i)
            all &= mutant_found(a, i);
    return all ? 0 : 1;
}

/* ---- arguments ---- */

static unsigned mutant_named(const char *word)
{
    for (unsigned i = 0; i < MUTANT_COUNT; i++)
        if (strcmp(sim_mutant_rows[i].word, word) == 0)
            return i;
    printf("no such mutant: %s\n", word);
    exit(2);
}

static bool flag_take(struct arguments *a, const char *word)
{
    if (strcmp(word, "--trace") == 0)
        a->trace = true;
    else if (strcmp(word, "--same") == 0)
        a->same = true;
    else if (strcmp(word, "--mutants") == 0)
        a->mutants = true;
    else if (strcmp(word, "--probes") == 0)
        a->probes = true;
    else if (strcmp(word, "--long") == 0)
        a->seconds = SECONDS_LONG;
    else
        return false;
    return true;
}

static bool value_take(struct arguments *a, const char *word, const char *value)
{
    if (strcmp(word, "--seed") == 0) {
        a->seed = strtoull(value, NULL, 10);
        a->one = true;
    } else if (strcmp(word, "--seeds") == 0) {
        a->seeds = strtoull(value, NULL, 10);
    } else if (strcmp(word, "--first") == 0) {
        a->first = strtoull(value, NULL, 10);
    } else if (strcmp(word, "--seconds") == 0) {
        a->seconds = strtoull(value, NULL, 10);
    } else if (strcmp(word, "--jobs") == 0) {
        a->jobs = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(word, "--mutant") == 0) {
        a->mutant = mutant_named(value);
    } else if (strcmp(word, "--scenario") == 0) {
        a->scenario = value;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *wants_long = getenv("SLOTWIRE_LONG");
    struct arguments a = {.seeds = SEEDS_USUAL, .first = 1, .jobs = 1};
    a.seconds = wants_long && *wants_long ? SECONDS_LONG : SECONDS_USUAL;
    for (int i = 1; i < argc; i++) {
        if (flag_take(&a, argv[i]))
            continue;
        if (i + 1 >= argc || !value_take(&a, argv[i], argv[i + 1])) {
            fputs(usage_text, stdout);
            return 2;
        }
        i++;
    }
    if (a.jobs == 0 || a.jobs > JOBS_MAX || a.seconds < 30) {
        fputs(usage_text, stdout);
        return 2;
    }
    if (a.scenario)
        return sim_scenarios_run(a.scenario, a.one ? a.seed : 0, a.trace);
    if (a.mutants)
        return mutants(&a);
    if (a.same)
        return same(&a);
    return a.one ? one(&a) : runs(&a);
}
