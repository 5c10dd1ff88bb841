#include "port_tap.h"
#include <errno.h>
#include <linux/if_tun.h>
#include <sys/uio.h>
#include <rte_mbuf.h>

#define SEGMENTS_MAX 64

static ssize_t frame_write(int fd, const struct rte_mbuf *frame)
{
    struct tun_pi info = {0};
    struct iovec part[SEGMENTS_MAX + 1] = {{&info, sizeof(info)}};
    int count = 1;
    if (frame->nb_segs > SEGMENTS_MAX) {
        errno = EMSGSIZE;
        return -1;
    }
    for (const struct rte_mbuf *seg = frame; seg != NULL; seg = seg->next)
        part[count++] = (struct iovec){rte_pktmbuf_mtod(seg, void *), rte_pktmbuf_data_len(seg)};
    return writev(fd, part, count);
}

uint16_t tap_tx_burst(struct tap_tx *tx, struct rte_mbuf **frames, uint16_t n)
{
    uint16_t done = 0;
    for (; done < n; done++) {
        if (frame_write(tx->fd, frames[done]) >= 0) {
            tx->packets++;
            tx->bytes += rte_pktmbuf_pkt_len(frames[done]);
        } else if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) {
            break;
        } else {
            tx->errors++;
        }
        rte_pktmbuf_free(frames[done]);
    }
    return done;
}
