#include "fault_spec.h"
#include <stdio.h>
#include <string.h>
#include "check.h"

#define TIME_MAX_US 60000000u
#define SEED_DEFAULT 1

/* Digits into *value, at most max; NULL: none, or too many. */
static const char *digits(const char *p, uint64_t max, uint64_t *value)
{
    const char *start = p;
    *value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*value > (max - digit) / 10)
            return NULL;
        *value = *value * 10 + digit;
    }
    return p == start ? NULL : p;
}

static const char *rate(const char *p, uint32_t *ppm)
{
    uint64_t whole;
    uint32_t unit = FAULT_PPM_ALL / 100;
    p = digits(p, 100, &whole);
    if (p == NULL)
        return NULL;
    *ppm = (uint32_t)whole * unit;
    if (*p == '.') {
        const char *start = ++p;
        for (; *p >= '0' && *p <= '9' && p < start + 4; p++) {
            unit /= 10;
            *ppm += (uint32_t)(*p - '0') * unit;
        }
        if (p == start)
            return NULL;
    }
    return *p == '%' && *ppm <= FAULT_PPM_ALL ? p + 1 : NULL;
}

static const char *duration(const char *p, uint64_t *us)
{
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}};
    uint64_t value;
    p = digits(p, TIME_MAX_US, &value);
    for (size_t i = 0; p != NULL && i < count_of(units); i++) {
        size_t len = strlen(units[i].unit);
        if (strncmp(p, units[i].unit, len) != 0)
            continue;
        *us = value * units[i].us;
        return value <= TIME_MAX_US / units[i].us ? p + len : NULL;
    }
    return NULL;
}

static const char *stall(const char *p, struct fault_spec *spec)
{
    p = duration(p, &spec->stall_us);
    if (p == NULL || *p != '/')
        return NULL;
    p = duration(p + 1, &spec->stall_period_us);
    return p != NULL && spec->stall_us < spec->stall_period_us ? p : NULL;
}

enum key { KEY_LOSS, KEY_DUP, KEY_REORDER, KEY_DELAY, KEY_CORRUPT, KEY_STALL, KEY_SEED, KEY_COUNT };

static const struct {
    const char *name;
    const char *value; /* what it must look like */
} keys[KEY_COUNT] = {
    [KEY_LOSS] = {"loss=", "a rate such as 1%"},
    [KEY_DUP] = {"dup=", "a rate such as 0.5%"},
    [KEY_REORDER] = {"reorder=", "a rate such as 5%"},
    [KEY_DELAY] = {"delay=", "a time such as 10ms, at most 60s"},
    [KEY_CORRUPT] = {"corrupt=", "a rate such as 0.1%"},
    [KEY_STALL] = {"stall=", "two times such as 50ms/1s, the first shorter"},
    [KEY_SEED] = {"seed=", "a number"},
};

static const char *value_parse(enum key key, const char *p, struct fault_spec *spec)
{
    switch (key) {
    case KEY_LOSS:
        return rate(p, &spec->loss_ppm);
    case KEY_DUP:
        return rate(p, &spec->dup_ppm);
    case KEY_REORDER:
        return rate(p, &spec->reorder_ppm);
    case KEY_DELAY:
        return duration(p, &spec->delay_us);
    case KEY_CORRUPT:
        return rate(p, &spec->corrupt_ppm);
    case KEY_STALL:
        return stall(p, spec);
    case KEY_SEED:
        return digits(p, UINT64_MAX, &spec->seed);
    case KEY_COUNT:
        break;
    }
    check_failed(__FILE__, __LINE__, "unknown key");
}

static bool fail(char *err, const char *at, const char *why)
{
    snprintf(err, FAULT_ERROR_SIZE, "nic-fault: at \"%.60s\": %s", at, why);
    return false;
}

static bool item_parse(const char **p, struct fault_spec *spec, unsigned *seen, char *err)
{
    const char *at = *p;
    char why[96];
    for (int key = 0; key < KEY_COUNT; key++) {
        size_t len = strlen(keys[key].name);
        if (strncmp(at, keys[key].name, len) != 0)
            continue;
        if (*seen & 1u << key)
            return fail(err, at, "given twice");
        *seen |= 1u << key;
        *p = value_parse((enum key)key, at + len, spec);
        if (*p != NULL && (**p == '\0' || **p == ','))
            return true;
        snprintf(why, sizeof(why), "%s must be %s", keys[key].name, keys[key].value);
        return fail(err, at, why);
    }
    return fail(err, at,
                "must be loss=, dup=, reorder=, delay=, corrupt=, stall= or seed=, with commas");
}

bool fault_spec_parse(const char *text, struct fault_spec *spec, char err[FAULT_ERROR_SIZE])
{
    unsigned seen = 0;
    const char *p = text;
    *spec = (struct fault_spec){.seed = SEED_DEFAULT};
    if (*text == '\0')
        return true;
    for (;;) {
        if (!item_parse(&p, spec, &seen, err))
            return false;
        if (*p == '\0')
            return true;
        p++;
    }
}

bool fault_spec_any(const struct fault_spec *spec)
{
    return (spec->loss_ppm | spec->dup_ppm | spec->reorder_ppm | spec->corrupt_ppm) != 0 ||
           spec->delay_us != 0 || spec->stall_us != 0;
}
