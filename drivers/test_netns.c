#include "test_netns.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "check.h"

void test_netns_enter(void)
{
    if (unshare(CLONE_NEWNET) != 0) {
        perror("no network namespace of our own");
        exit(TEST_SKIPPED);
    }
    test_run("sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1");
}

void test_run(const char *format, ...)
{
    char command[512];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof(command), format, list);
    va_end(list);
    int code = system(command);
    if (code != 0)
        fprintf(stderr, "%s: %d\n", command, code);
    CHECK(code == 0);
}

int test_raw_open(const char *interface)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    int one = 1;
    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) == 0);
    return fd;
}

void test_raw_send(int fd, const void *frame, size_t len)
{
    CHECK(send(fd, frame, len, 0) == (ssize_t)len);
}

static bool is_ours(const uint8_t *frame, size_t len)
{
    if (len < 14)
        return false;
    uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);
    return type == 0x88b5 || (type == ETH_P_IP && len > 23 && frame[23] == IPPROTO_TCP) ||
           (type == ETH_P_IPV6 && len > 20 && frame[20] == IPPROTO_TCP);
}

size_t test_raw_receive(int fd, void *buf, size_t size, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, timeout_ms) == 1) {
        ssize_t len = recv(fd, buf, size, 0);
        if (len > 0 && is_ours(buf, (size_t)len))
            return (size_t)len;
    }
    return 0;
}

void test_mac_of(const char *interface, uint8_t mac[6])
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    CHECK(ioctl(fd, SIOCGIFHWADDR, &request) == 0);
    memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    close(fd);
}
