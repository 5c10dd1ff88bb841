#include "port_probe.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"

#define TUN_DEVICE "/dev/net/tun"

static bool fail(char *err, const struct port_spec *spec, const char *why)
{
    snprintf(err, PROBE_ERROR_SIZE, "nic %s:%s: %s", port_kind_get(spec->kind)->word, spec->target,
             why);
    return false;
}

static const char *tun_open_fault(int error)
{
    if (error == ENOENT || error == ENODEV || error == ENXIO)
        return "there is no " TUN_DEVICE ": modprobe tun, or give the container that device";
    if (error == EACCES || error == EPERM)
        return "no permission to open " TUN_DEVICE ": run as root or with CAP_NET_ADMIN";
    return strerror(error);
}

/* A multi-queue TAP lets a second process in, and the kernel would split the flows between the two.
 */
static bool tap_in_use(const char *name)
{
    struct ifreq request = {0};
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    memcpy(request.ifr_name, name, IFNAMSIZ);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    bool used = known && (request.ifr_flags & IFF_RUNNING) != 0;
    /* That flag follows the carrier by up to a second. */
    request.ifr_data = (char *)&link;
    if (used && ioctl(fd, SIOCETHTOOL, &request) == 0)
        used = link.data != 0;
    if (fd >= 0)
        close(fd);
    return used;
}

/* Makes the interface for a moment, as the driver will. */
static bool probe_tap(const struct port_spec *spec, char *err)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE};
    memcpy(request.ifr_name, spec->target, IFNAMSIZ); /* port_spec_parse saw to its length */
    int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return fail(err, spec, tun_open_fault(errno));
    int error = tap_in_use(spec->target) ? EBUSY : 0;
    if (error == 0 && ioctl(fd, TUNSETIFF, &request) != 0)
        error = errno;
    close(fd);
    if (error == 0)
        return true;
    if (error == EPERM || error == EACCES)
        return fail(err, spec,
                    "no permission to make a TAP interface: run as root or with "
                    "CAP_NET_ADMIN");
    if (error == EBUSY)
        return fail(err, spec, "another process uses this interface: choose another name");
    if (error == EINVAL)
        return fail(err, spec,
                    "an interface of this name exists and is no multi-queue TAP: choose "
                    "another name, or ip link del it");
    return fail(err, spec, strerror(error));
}

static bool probe_interface(const struct port_spec *spec, uint16_t mtu, char *err)
{
    struct ifreq request = {0};
    char text[PORT_SPEC_TARGET_SIZE + 80];
    memcpy(request.ifr_name, spec->target, IFNAMSIZ); /* port_spec_parse saw to its length */
    if (if_nametoindex(spec->target) == 0)
        return fail(err, spec, "there is no such interface in this network namespace (ip link)");
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 && (errno == EPERM || errno == EACCES))
        return fail(err, spec, "no permission for packet sockets: run as root or with CAP_NET_RAW");
    if (fd < 0)
        return fail(err, spec, strerror(errno));
    int error = ioctl(fd, SIOCGIFMTU, &request) == 0 ? 0 : errno;
    close(fd);
    if (error != 0)
        return fail(err, spec, strerror(error));
    if (request.ifr_mtu >= mtu)
        return true;
    snprintf(text, sizeof(text), "its MTU is %d: ip link set %s mtu %u, or set mtu %d",
             request.ifr_mtu, spec->target, mtu, request.ifr_mtu);
    return fail(err, spec, text);
}

/* Connects to the socket: 0, or the error. */
static int socket_try(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static bool probe_socket_make(const struct port_spec *spec, char *err)
{
    struct stat st;
    char dir[PORT_SPEC_TARGET_SIZE];
    snprintf(dir, sizeof(dir), "%s", spec->target);
    char *slash = strrchr(dir, '/');
    if (slash != NULL)
        slash[slash == dir] = '\0';
    const char *in = slash == NULL ? "." : dir;
    if (stat(in, &st) != 0 || !S_ISDIR(st.st_mode))
        return fail(err, spec, "the folder of this socket does not exist");
    if (access(in, W_OK) != 0)
        return fail(err, spec, "no permission to make a socket in this folder");
    if (lstat(spec->target, &st) != 0)
        return true;
    if (!S_ISSOCK(st.st_mode))
        return fail(err, spec, "exists and is no socket: choose another path");
    if (socket_try(spec->target) != ECONNREFUSED)
        return fail(err, spec, "another process listens on this socket: choose another path");
    if (unlink(spec->target) != 0)
        return fail(err, spec, "a dead process left this socket and it cannot be removed");
    return true;
}

static bool probe_socket_use(const struct port_spec *spec, char *err)
{
    struct stat st;
    /* vhost as a client tries again until its peer is there. */
    if (spec->kind == PORT_KIND_VHOST || spec->kind == PORT_KIND_MEMIF)
        return true;
    if (stat(spec->target, &st) != 0)
        return fail(err, spec,
                    errno == EACCES ? "no permission to reach this socket"
                                    : "there is no such socket: start its vhost side "
                                      "first, or add ,server to make it here");
    if (!S_ISSOCK(st.st_mode))
        return fail(err, spec, "is no socket");
    if (access(spec->target, W_OK) != 0)
        return fail(err, spec, "no permission to connect to this socket");
    return true;
}

static bool probe_pci(const struct port_spec *spec, char *err)
{
    char path[PATH_MAX];
    char target[PATH_MAX];
    char text[256];
    struct stat st;
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", spec->target);
    if (stat(path, &st) != 0)
        return fail(err, spec, "there is no such PCI device (lspci -D lists them)");
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", spec->target);
    ssize_t len = readlink(path, target, sizeof(target) - 1);
    target[len > 0 ? len : 0] = '\0';
    const char *driver = strrchr(target, '/');
    driver = driver == NULL ? "no driver" : driver + 1;
    if (strcmp(driver, "vfio-pci") == 0 || strcmp(driver, "uio_pci_generic") == 0 ||
        strcmp(driver, "igb_uio") == 0 || strncmp(driver, "mlx5", 4) == 0)
        return true;
    snprintf(text, sizeof(text),
             "is bound to %.40s: modprobe vfio-pci; dpdk-devbind.py -b vfio-pci %s", driver,
             spec->target);
    return fail(err, spec, text);
}

bool port_probe(const struct port_spec *spec, uint16_t mtu, char err[PROBE_ERROR_SIZE])
{
    switch (spec->kind) {
    case PORT_KIND_TAP:
        return probe_tap(spec, err);
    case PORT_KIND_AF_PACKET:
    case PORT_KIND_AF_XDP:
        return probe_interface(spec, mtu, err);
    case PORT_KIND_VIRTIO_USER:
    case PORT_KIND_VHOST:
    case PORT_KIND_MEMIF:
        return spec->server ? probe_socket_make(spec, err) : probe_socket_use(spec, err);
    case PORT_KIND_PCI:
        return probe_pci(spec, err);
    case PORT_KIND_COUNT:
        break;
    }
    check_failed(__FILE__, __LINE__, "unknown kind");
}
