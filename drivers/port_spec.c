#include "port_spec.h"
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "port.h"
#include "slice.h"

#define AF_PACKET_FRAMES 512         /* per ring and queue */
#define AF_PACKET_FRAME_OVERHEAD 128 /* tpacket2 header, Ethernet and VLAN headers, alignment */

static const struct port_kind_info kinds[PORT_KIND_COUNT] = {
    [PORT_KIND_TAP] = {.word = "tap",
                       .vdev = "net_tap",
                       .target = "NAME",
                       .wake = PORT_WAKE_FD,
                       .scatters = true,
                       .own_mac = true,
                       .software_tx = true,
                       .extbuf = true},
    [PORT_KIND_AF_PACKET] = {.word = "af_packet",
                             .vdev = "net_af_packet",
                             .target = "IFACE",
                             .wake = PORT_WAKE_NONE,
                             .netdev = true,
                             .extbuf = true,
                             .caps = PORT_TX_MAY_BLOCK},
    [PORT_KIND_AF_XDP] = {.word = "af_xdp",
                          .vdev = "net_af_xdp",
                          .target = "IFACE",
                          .wake = PORT_WAKE_NONE,
                          .netdev = true,
                          .caps = PORT_RX_MAY_BLOCK},
    [PORT_KIND_VIRTIO_USER] = {.word = "virtio-user",
                               .vdev = "net_virtio_user",
                               .target = "SOCKET",
                               .wake = PORT_WAKE_INTERRUPT,
                               .scatters = true,
                               .own_mac = true},
    [PORT_KIND_VHOST] = {.word = "vhost",
                         .vdev = "net_vhost",
                         .target = "SOCKET",
                         .wake = PORT_WAKE_INTERRUPT,
                         .scatters = true,
                         .own_mac = true,
                         .extbuf = true},
    [PORT_KIND_MEMIF] = {.word = "memif",
                         .vdev = "net_memif",
                         .target = "SOCKET",
                         .wake = PORT_WAKE_NONE,
                         .scatters = true,
                         .own_mac = true,
                         .extbuf = true},
    [PORT_KIND_PCI] = {.word = "pci",
                       .vdev = NULL,
                       .target = "ADDRESS",
                       .wake = PORT_WAKE_INTERRUPT,
                       .scatters = true},
};

const struct port_kind_info *port_kind_get(enum port_kind kind)
{
    CHECK(kind < PORT_KIND_COUNT);
    return &kinds[kind];
}

static bool kind_find(struct slice word, enum port_kind *kind)
{
    for (int i = 0; i < PORT_KIND_COUNT; i++) {
        if (slice_equal(word, slice_str(kinds[i].word))) {
            *kind = (enum port_kind)i;
            return true;
        }
    }
    return false;
}

static bool is_interface(enum port_kind kind)
{
    return kind == PORT_KIND_TAP || kinds[kind].netdev;
}

static bool pci_address_valid(const char *text)
{
    unsigned domain, bus, device, function;
    int end = 0;
    int fields = sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end);
    return fields == 4 && text[end] == '\0' && device < 32 && function < 8;
}

/* Interface names must survive the kernel; paths must survive DPDK's own commas and equal signs. */
static const char *target_fault(enum port_kind kind, const char *target)
{
    if (target[0] == '\0')
        return "nothing after the colon";
    for (const char *p = target; *p != '\0'; p++)
        if (!isgraph((unsigned char)*p) || *p == '=' || *p == '[' || *p == ']')
            return "a character that cannot stand there";
    if (is_interface(kind) && strlen(target) >= IFNAMSIZ)
        return "an interface name has at most 15 characters";
    if (is_interface(kind) && strchr(target, '/') != NULL)
        return "an interface name has no slash";
    if (kind == PORT_KIND_PCI && !pci_address_valid(target))
        return "a PCI address looks like 0000:3b:00.1";
    return NULL;
}

static bool option_parse(struct port_spec *spec, struct slice word)
{
    static const char id_key[] = "id=";
    const size_t id_len = sizeof(id_key) - 1;
    bool makes_sockets = spec->kind == PORT_KIND_VIRTIO_USER || spec->kind == PORT_KIND_MEMIF;
    if (makes_sockets && slice_equal(word, slice_str("server"))) {
        spec->server = true;
        return true;
    }
    if (spec->kind == PORT_KIND_VHOST && slice_equal(word, slice_str("client"))) {
        spec->server = false;
        return true;
    }
    if (spec->kind != PORT_KIND_MEMIF || word.len <= id_len || word.len > id_len + 8 ||
        memcmp(word.data, id_key, id_len) != 0)
        return false;
    spec->id = 0;
    for (size_t i = id_len; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        spec->id = spec->id * 10 + (uint32_t)(word.data[i] - '0');
    }
    return true;
}

static bool spec_fail(char *err, const char *text, const char *why)
{
    snprintf(err, PORT_SPEC_ERROR_SIZE, "nic \"%.100s\": %s", text, why);
    return false;
}

bool port_spec_parse(const char *text, struct port_spec *spec, char err[PORT_SPEC_ERROR_SIZE])
{
    memset(spec, 0, sizeof(*spec));
    const char *colon = strchr(text, ':');
    if (colon == NULL || !kind_find(slice_from(text, (size_t)(colon - text)), &spec->kind))
        return spec_fail(err, text,
                         "must be tap:NAME, af_packet:IFACE, af_xdp:IFACE, virtio-user:SOCKET, "
                         "vhost:SOCKET, memif:SOCKET or pci:ADDRESS");
    spec->server = spec->kind == PORT_KIND_VHOST;
    const char *target = colon + 1;
    size_t len = strcspn(target, ",");
    if (len >= sizeof(spec->target))
        return spec_fail(err, text, "longer than 107 characters");
    memcpy(spec->target, target, len);
    const char *fault = target_fault(spec->kind, spec->target);
    if (fault != NULL)
        return spec_fail(err, text, fault);
    for (const char *p = target + len; *p != '\0';) {
        size_t word = strcspn(p + 1, ",");
        if (!option_parse(spec, slice_from(p + 1, word)))
            return spec_fail(err, text, "an option after the comma that this port does not have");
        p += 1 + word;
    }
    return true;
}

bool port_mac_parse(const char *text, uint8_t mac[6])
{
    unsigned b[6];
    int end = 0;
    int fields =
        sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end);
    if (fields != 6 || text[end] != '\0' || end != 17)
        return false;
    unsigned any = 0;
    for (int i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
        any |= b[i];
    }
    return any != 0 && (mac[0] & 1) == 0;
}

void port_mac_derive(const char *text, uint8_t mac[6])
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *p = text; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
    hash ^= hash >> 29;
    mac[0] = 0x02;
    for (int i = 1; i < 6; i++)
        mac[i] = (uint8_t)(hash >> (8 * i));
}

uint32_t port_spec_ring_frame_bytes(uint16_t mtu)
{
    uint32_t frame = 2048;
    while (frame < (uint32_t)mtu + AF_PACKET_FRAME_OVERHEAD)
        frame *= 2;
    return frame;
}

static int devargs_af_packet(const struct port_spec *spec, const struct port_device *device,
                             char *out, size_t size)
{
    uint32_t frame = port_spec_ring_frame_bytes(device->mtu);
    return snprintf(out, size, "iface=%s,qpairs=%d,blocksz=%u,framesz=%u,framecnt=%d", spec->target,
                    device->queue_count, frame < 4096 ? 4096 : frame, frame, AF_PACKET_FRAMES);
}

bool port_spec_devargs(const struct port_spec *spec, const struct port_device *device, char *out,
                       size_t size)
{
    char mac[18];
    const uint8_t *m = device->mac;
    int queues = device->queue_count;
    int len = 0;
    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    switch (spec->kind) {
    case PORT_KIND_TAP:
        len = snprintf(out, size, "iface=%s", spec->target);
        break;
    case PORT_KIND_AF_PACKET:
        len = devargs_af_packet(spec, device, out, size);
        break;
    case PORT_KIND_AF_XDP:
        len = snprintf(out, size, "iface=%s,start_queue=0,queue_count=%d", spec->target, queues);
        break;
    case PORT_KIND_VIRTIO_USER:
        len = snprintf(out, size, "path=%s,mac=%s,queues=%d,queue_size=1024,server=%d",
                       spec->target, mac, queues, spec->server);
        break;
    case PORT_KIND_VHOST:
        len = snprintf(out, size, "iface=%s,queues=%d,client=%d", spec->target, queues,
                       !spec->server);
        break;
    case PORT_KIND_MEMIF:
        len = snprintf(out, size, "id=%u,role=%s,socket=%s,socket-abstract=no,mac=%s,rsize=10",
                       spec->id, spec->server ? "server" : "client", spec->target, mac);
        break;
    case PORT_KIND_PCI:
    case PORT_KIND_COUNT:
        check_failed(__FILE__, __LINE__, "a PCI device has no arguments");
    }
    return len > 0 && (size_t)len < size;
}
