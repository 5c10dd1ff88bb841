#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "port_spec.h"

static void test_good(void **state)
{
    static const struct {
        const char *text;
        enum port_kind kind;
        const char *target;
        bool server;
        uint32_t id;
    } rows[] = {
        {"tap:sw0", PORT_KIND_TAP, "sw0", false, 0},
        {"af_packet:eth1", PORT_KIND_AF_PACKET, "eth1", false, 0},
        {"af_xdp:ens3f0np0", PORT_KIND_AF_XDP, "ens3f0np0", false, 0},
        {"virtio-user:/run/v.sock", PORT_KIND_VIRTIO_USER, "/run/v.sock", false, 0},
        {"virtio-user:/run/v.sock,server", PORT_KIND_VIRTIO_USER, "/run/v.sock", true, 0},
        {"vhost:/run/v.sock", PORT_KIND_VHOST, "/run/v.sock", true, 0},
        {"vhost:/run/v.sock,client", PORT_KIND_VHOST, "/run/v.sock", false, 0},
        {"memif:/run/m.sock", PORT_KIND_MEMIF, "/run/m.sock", false, 0},
        {"memif:/run/m.sock,server,id=17", PORT_KIND_MEMIF, "/run/m.sock", true, 17},
        {"pci:0000:3b:00.1", PORT_KIND_PCI, "0000:3b:00.1", false, 0},
    };
    char err[PORT_SPEC_ERROR_SIZE];
    struct port_spec spec;
    for (size_t i = 0; i < count_of(rows); i++) {
        assert_true(port_spec_parse(rows[i].text, &spec, err));
        assert_int_equal(spec.kind, rows[i].kind);
        assert_string_equal(spec.target, rows[i].target);
        assert_int_equal(spec.server, rows[i].server);
        assert_int_equal(spec.id, rows[i].id);
    }
}

static void test_bad(void **state)
{
    static const char *const rows[] = {
        "",
        "tap",
        "tap:",
        "tun:sw0",
        "TAP:sw0",
        "tap:sixteen-letters-",
        "tap:a/b",
        "tap:a b",
        "tap:sw0,server",
        "af_packet:eth0,client",
        "vhost:/run/a=b",
        "vhost:/run/v.sock,",
        "virtio-user:/s,client",
        "memif:/s,id=",
        "memif:/s,id=1x",
        "memif:/s,id=123456789",
        "pci:3b:00.1",
        "pci:0000:3b:20.0",
        "pci:0000:3b:00.1x",
    };
    char err[PORT_SPEC_ERROR_SIZE];
    struct port_spec spec;
    for (size_t i = 0; i < count_of(rows); i++) {
        err[0] = '\0';
        assert_false(port_spec_parse(rows[i], &spec, err));
        assert_non_null(strstr(err, "nic \""));
    }
    char longer[400];
    memset(longer, 'x', sizeof(longer) - 1);
    memcpy(longer, "vhost:", 6);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(port_spec_parse(longer, &spec, err));
}

static void test_mac(void **state)
{
    uint8_t mac[6];
    uint8_t other[6];
    assert_true(port_mac_parse("02:00:5e:10:00:ff", mac));
    assert_memory_equal(mac, "\x02\x00\x5e\x10\x00\xff", 6);
    assert_false(port_mac_parse("01:00:5e:10:00:ff", mac));
    assert_false(port_mac_parse("00:00:00:00:00:00", mac));
    assert_false(port_mac_parse("02:00:5e:10:00", mac));
    assert_false(port_mac_parse("02:00:5e:10:00:ff:00", mac));
    assert_false(port_mac_parse("2:0:5e:10:0:ff", mac));
    assert_false(port_mac_parse("", mac));

    port_mac_derive("10.77.0.1/24 tap:sw0", mac);
    assert_int_equal(mac[0], 0x02);
    port_mac_derive("10.77.0.1/24 tap:sw0", other);
    assert_memory_equal(mac, other, 6);
    port_mac_derive("10.77.0.2/24 tap:sw0", other);
    assert_memory_not_equal(mac, other, 6);
}

static void test_devargs(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    struct port_device device = {.mac = mac, .queue_count = 2, .mtu = 1500};
    struct port_spec spec;
    char err[PORT_SPEC_ERROR_SIZE];
    char args[512];
    assert_true(port_spec_parse("virtio-user:/v,server", &spec, err));
    assert_true(port_spec_devargs(&spec, &device, args, sizeof(args)));
    assert_string_equal(args, "path=/v,mac=02:00:00:00:00:01,queues=2,queue_size=1024,server=1");
    assert_true(port_spec_parse("tap:sw0", &spec, err));
    assert_true(port_spec_devargs(&spec, &device, args, sizeof(args)));
    assert_string_equal(args, "iface=sw0");
    assert_false(port_spec_devargs(&spec, &device, args, 4));

    /* A slot of the ring always holds the frame and its headers. */
    assert_int_equal(port_spec_ring_frame_bytes(1500), 2048);
    assert_int_equal(port_spec_ring_frame_bytes(1920), 2048);
    assert_int_equal(port_spec_ring_frame_bytes(1921), 4096);
    assert_int_equal(port_spec_ring_frame_bytes(9000), 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_mac),
        cmocka_unit_test(test_devargs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
