#include "config.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "config_table.h"
#include "qsbr.h"

static char *string_copy(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy);
    return copy;
}

struct config *config_new(void)
{
    struct config *config = calloc(1, sizeof(*config));
    CHECK(config);
    for (int i = 0; i < config_option_count(); i++) {
        const struct option *option = option_row(i);
        void *field = option_field(config, option);
        switch (option->kind) {
        case OPTION_INT:
            *(int64_t *)field = option->range.int_default;
            break;
        case OPTION_MEM:
            *(uint64_t *)field = option->range.mem_default;
            break;
        case OPTION_BOOL:
            *(bool *)field = option->range.int_default != 0;
            break;
        case OPTION_ENUM:
            *(int *)field = (int)option->range.int_default;
            break;
        case OPTION_STR:
            *(char **)field = string_copy(option->text);
            break;
        case OPTION_SPECIAL:
            memcpy(field, client_output_limit_defaults, sizeof(client_output_limit_defaults));
            break;
        }
    }
    return config;
}

struct config *config_copy(const struct config *from)
{
    struct config *config = malloc(sizeof(*config));
    CHECK(config);
    *config = *from;
    for (int i = 0; i < config_option_count(); i++) {
        const struct option *option = option_row(i);
        if (option->kind != OPTION_STR)
            continue;
        char **field = option_field(config, option);
        *field = string_copy(*field);
    }
    return config;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (int i = 0; i < config_option_count(); i++) {
        const struct option *option = option_row(i);
        if (option->kind == OPTION_STR)
            free(*(char **)option_field(config, option));
    }
    free(config);
}

bool config_validate(const struct config *config, char err[CONFIG_ERROR_SIZE])
{
    err[0] = '\0';
    if (config->port == 0 && config->unixsocket[0] == '\0')
        snprintf(err, CONFIG_ERROR_SIZE, "port 0 needs a unixsocket: nobody could connect");
    else if (config->gateway[0] != '\0' && config->ip[0] == '\0')
        snprintf(err, CONFIG_ERROR_SIZE, "gateway needs ip");
    else if (config->gateway6[0] != '\0' && config->ip6[0] == '\0')
        snprintf(err, CONFIG_ERROR_SIZE, "gateway6 needs ip6");
    return err[0] == '\0';
}

static _Atomic(struct config *) published;

/* What was published before; w: the control thread. At most one grace period is under way, for the
 * waiting ones; what is retired meanwhile collects and gets the next one. */
struct retired {
    struct retired *next;
    struct config *config;
};

static struct {
    struct retired *waiting;
    struct qsbr_grace *grace; /* NULL: none is waiting */
    struct retired *collected;
    int collected_count;
} retired_all;

static void retired_free(struct retired *list)
{
    while (list) {
        struct retired *next = list->next;
        config_free(list->config);
        free(list);
        list = next;
    }
}

static void retired_poll(void)
{
    if (retired_all.grace) {
        if (!qsbr_grace_passed(retired_all.grace))
            return;
        qsbr_grace_free(retired_all.grace);
        retired_all.grace = NULL;
        retired_free(retired_all.waiting);
        retired_all.waiting = NULL;
    }
    if (retired_all.collected) {
        retired_all.waiting = retired_all.collected;
        retired_all.collected = NULL;
        retired_all.collected_count = 0;
        retired_all.grace = qsbr_grace_begin();
    }
}

/* Everything collected was unpublished before this grace period began. */
static void retired_free_collected(void)
{
    qsbr_synchronize();
    retired_free(retired_all.collected);
    retired_all.collected = NULL;
    retired_all.collected_count = 0;
}

static void config_retire(struct config *config)
{
    struct retired *retired = malloc(sizeof(*retired));
    CHECK(retired);
    *retired = (struct retired){retired_all.collected, config};
    retired_all.collected = retired;
    retired_all.collected_count++;
    if (retired_all.collected_count >= CONFIG_RETIRED_MAX)
        retired_free_collected();
}

void config_publish(struct config *config)
{
    struct config *before = atomic_exchange_explicit(&published, config, memory_order_acq_rel);
    if (before)
        config_retire(before);
    retired_poll();
}

const struct config *config_get(void)
{
    return atomic_load_explicit(&published, memory_order_acquire);
}

void config_unpublish(void)
{
    config_publish(NULL);
    retired_free_collected();
    /* The grace period's memory is the helper thread's until it has passed. */
    while (retired_all.grace) {
        usleep(1000);
        retired_poll();
    }
}
