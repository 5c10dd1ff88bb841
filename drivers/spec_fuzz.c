/* The directives nic, nic-fault and mac, from the first byte on: no crash, and what is accepted is
 * within its bounds. */
#include <stdint.h>
#include <string.h>
#include "check.h"
#include "fault_spec.h"
#include "port_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_nic(const char *text)
{
    struct port_spec spec;
    char err[PORT_SPEC_ERROR_SIZE] = "";
    char args[512];
    uint8_t mac[6];
    if (!port_spec_parse(text, &spec, err)) {
        CHECK(err[0] != '\0');
        return;
    }
    CHECK(spec.target[0] != '\0' && memchr(spec.target, '\0', sizeof(spec.target)) != NULL);
    port_mac_derive(text, mac);
    struct port_device device = {.mac = mac, .queue_count = 62, .mtu = 9600};
    if (spec.kind == PORT_KIND_PCI)
        return;
    CHECK(port_spec_devargs(&spec, &device, args, sizeof(args)));
    /* Nothing in it can end its value and begin another. */
    CHECK(strchr(spec.target, ',') == NULL && strchr(spec.target, '=') == NULL);
}

static void fuzz_fault(const char *text)
{
    struct fault_spec spec;
    char err[FAULT_ERROR_SIZE] = "";
    if (!fault_spec_parse(text, &spec, err)) {
        CHECK(err[0] != '\0');
        return;
    }
    CHECK(spec.loss_ppm <= FAULT_PPM_ALL && spec.dup_ppm <= FAULT_PPM_ALL);
    CHECK(spec.reorder_ppm <= FAULT_PPM_ALL && spec.corrupt_ppm <= FAULT_PPM_ALL);
    CHECK(spec.delay_us <= 60000000 && spec.stall_period_us <= 60000000);
    CHECK(spec.stall_period_us == 0 || spec.stall_us < spec.stall_period_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    uint8_t mac[6];
    if (size == 0 || size > sizeof(text))
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0)
        fuzz_nic(text);
    else if (data[0] % 3 == 1)
        fuzz_fault(text);
    else if (port_mac_parse(text, mac))
        CHECK((mac[0] & 1) == 0);
    return 0;
}
