#include "capture_tailqs.h"
#include <stddef.h>
#include <rte_tailq.h>
#include "check.h"

/* Empty lists of libraries that are not linked here; with EAL's own fewer than RTE_MAX_TAILQ. */
static struct rte_tailq_elem lists[] = {
    {.name = "RTE_REORDER"},
    {.name = "RTE_STACK"},
    {.name = "RTE_LPM"},
    {.name = "RTE_LPM6"},
    {.name = "RTE_RIB"},
    {.name = "RTE_RIB6"},
    {.name = "RTE_FIB"},
    {.name = "RTE_FIB6"},
    {.name = "RTE_ACL"},
    {.name = "RTE_MEMBER"},
    {.name = "RTE_EFD"},
    {.name = "RTE_DISTRIBUTOR"},
    {.name = "RTE_DIST_BURST"},
    {.name = "RTE_FBK_HASH"},
    {.name = "RTE_THASH"},
    {.name = "RTE_IPSEC_SAD"},
    {.name = "VMBUS_RESOURCE_LIST"},
    {.name = "RTE_SWX_PIPELINE"},
    {.name = "RTE_SWX_CTL_PIPELINE"},
};

void capture_tailqs_register(void)
{
    for (size_t i = 0; i < count_of(lists); i++)
        rte_eal_tailq_register(&lists[i]);
}
