/* The drivers that every executable must carry (rule 8's explicit list). Each driver's archive
 * brings a line "PMD_INFO_STRING= {"name": "net_tap", ...": what dpdk-pmdinfo.py lists too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_bus.h>
#include <rte_version.h>
#include "check.h"

static const char *const wanted[] = {
    "net_tap",   "net_af_packet", "net_af_xdp",   "net_virtio",    "net_virtio_user", "net_vhost",
    "net_memif", "net_ring",      "net_e1000_em", "net_e1000_igb", "net_ixgbe",       "net_i40e",
    "net_iavf",  "net_ice",       "net_ena",      "net_vmxnet3",
};

static char *image;
static size_t image_len;

static void image_read(void)
{
    FILE *file = fopen("/proc/self/exe", "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    image_len = (size_t)ftell(file);
    rewind(file);
    image = malloc(image_len);
    assert_non_null(image);
    assert_int_equal(fread(image, 1, image_len, file), image_len);
    fclose(file);
}

static bool driver_linked(const char *name)
{
    char line[96];
    /* In two parts, or the test would find its own format. */
    int len = snprintf(line, sizeof(line), "%s_INFO_STRING= {\"name\": \"%s\"", "PMD", name);
    return memmem(image, image_len, line, (size_t)len) != NULL;
}

static void test_wanted_drivers(void **state)
{
    image_read();
    for (size_t i = 0; i < count_of(wanted); i++) {
        printf("%s: %s\n", wanted[i], driver_linked(wanted[i]) ? "linked" : "MISSING");
        assert_true(driver_linked(wanted[i]));
    }
    assert_false(driver_linked("net_null"));
    free(image);
}

static int bus_differs(const struct rte_bus *bus, const void *name)
{
    return strcmp(rte_bus_name(bus), name);
}

static void test_buses(void **state)
{
    assert_non_null(rte_bus_find(NULL, bus_differs, "vdev"));
    assert_non_null(rte_bus_find(NULL, bus_differs, "pci"));
    assert_null(rte_bus_find(NULL, bus_differs, "none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted_drivers),
        cmocka_unit_test(test_buses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
