#include "bus_port.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "config.h"
#include "log.h"
#include "metrics.h"

#define TABLE_SIZE 1024 /* chains of links by id */

enum conn_state {
    CONN_OPENING,
    CONN_UP,
    CONN_CUT,   /* of no use any more; the user is still to be told */
    CONN_ENDED, /* the user hears no more; it waits for its lcore */
};

/* One frame on its way. */
struct port_send {
    struct bus_send send; /* first */
    struct port_send *next, *prev;
    struct cluster_frame *frame;
};

struct bus_conn {
    struct bus_conn *next; /* of its chain */
    struct bus_port *port;
    struct bus_link *link;
    cluster_link_id id;
    enum conn_state state;
    bool was_up;
    bool end_posted;
    struct port_send *sends; /* that the lcore has not given back … */
    uint64_t queued_bytes;   /* … and their bytes */
};

struct bus_port {
    const struct bus_port_user *user;
    void *arg;
    struct bus_path paths[LCORES_MAX]; /* one per lcore */
    unsigned lcore_count, lcore_next;
    uint64_t accepted;  /* the newest inbound id */
    unsigned cut_count; /* connections in state CUT */
    bool stopped;
    struct bus_conn *table[TABLE_SIZE];
};

/* ---- the table ---- */

static struct bus_conn *const *conn_find(const struct bus_port *p, cluster_link_id id)
{
    struct bus_conn *const *at = &p->table[id % TABLE_SIZE];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct bus_conn *conn_get(const struct bus_port *p, cluster_link_id id)
{
    return *conn_find(p, id);
}

/* link NULL: none could be made; it is cut already. */
static struct bus_conn *conn_new(struct bus_port *p, cluster_link_id id, struct bus_link *link)
{
    struct bus_conn *c = calloc(1, sizeof(*c));
    CHECK(c);
    CHECK(conn_get(p, id) == NULL);
    *c = (struct bus_conn){.port = p, .id = id, .link = link, .next = p->table[id % TABLE_SIZE]};
    p->table[id % TABLE_SIZE] = c;
    if (link != NULL)
        link->control_state = c;
    return c;
}

static void send_free(struct bus_conn *c, struct port_send *send)
{
    if (send->prev != NULL)
        send->prev->next = send->next;
    else
        c->sends = send->next;
    if (send->next != NULL)
        send->next->prev = send->prev;
    c->queued_bytes -= send->frame->len;
    cluster_frame_put(send->frame);
    free(send);
}

static void conn_free(struct bus_conn *c)
{
    while (c->sends != NULL)
        send_free(c, c->sends);
    struct bus_conn **at = (struct bus_conn **)(uintptr_t)conn_find(c->port, c->id);
    CHECK(*at == c);
    *at = c->next;
    free(c->link);
    free(c);
}

static void conn_cut(struct bus_conn *c)
{
    if (c->state == CONN_CUT || c->state == CONN_ENDED)
        return;
    c->state = CONN_CUT;
    c->port->cut_count++;
}

/* The lcore answers with released; without one there is nothing to wait for. */
static void conn_end(struct bus_conn *c, bool aborted)
{
    if (c->state == CONN_CUT)
        c->port->cut_count--;
    c->state = CONN_ENDED;
    if (c->link == NULL) {
        conn_free(c);
    } else if (!c->end_posted) {
        c->end_posted = true;
        c->link->aborted = aborted;
        bus_link_post_lcore(&c->link->end);
    }
}

/* ---- what lcores tell ---- */

static void tell_up(struct bus_conn *c)
{
    const struct bus_link *link = c->link;
    c->state = CONN_UP;
    c->was_up = true;
    c->port->user->up(c->port->arg, c->id, slice_from(link->local_ip, strlen(link->local_ip)),
                      slice_from(link->peer_ip, strlen(link->peer_ip)));
}

static void link_connected(struct bus_port *p, struct bus_link *link)
{
    struct bus_conn *c = link->control_state;
    if (c == NULL)
        c = conn_new(p, CLUSTER_LINK_INBOUND | ++p->accepted, link);
    if (p->stopped)
        conn_end(c, true);
    else if (c->state == CONN_OPENING)
        tell_up(c);
}

static void on_link(struct bus_link *link, struct bus_link_mail *mail, void *control_end)
{
    struct bus_port *p = control_end;
    if (mail == &link->connected)
        link_connected(p, link);
    else if (mail == &link->gone)
        conn_cut(link->control_state);
    else if (mail == &link->released)
        conn_free(link->control_state);
}

static void on_frame(struct bus_frame *frame, void *control_end)
{
    struct bus_port *p = control_end;
    struct bus_conn *c = frame->link->control_state;
    if (c->state == CONN_UP && !p->stopped)
        frame->known = p->user->frame(p->arg, c->id, frame);
    bus_frame_give_back(frame);
}

static void on_sent(struct bus_send *send, void *control_end)
{
    send_free(send->link->control_state, (struct port_send *)send);
}

/* ---- the port ---- */

struct bus_port *bus_port_new(struct mailbox *control, const struct bus_port_user *user, void *arg)
{
    struct bus_port *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->user = user;
    p->arg = arg;
    for (unsigned i = 0; i < LCORES_MAX; i++) {
        p->paths[i] = (struct bus_path){.control = control,
                                        .control_end = p,
                                        .on_link = on_link,
                                        .on_frame = on_frame,
                                        .on_sent = on_sent};
    }
    return p;
}

struct bus_path *bus_port_path(struct bus_port *p, unsigned lcore)
{
    return &p->paths[lcore];
}

void bus_port_start(struct bus_port *p, unsigned lcore_count)
{
    p->lcore_count = lcore_count;
}

static struct bus_conn *find_cut(const struct bus_port *p)
{
    for (unsigned i = 0; i < TABLE_SIZE; i++) {
        for (struct bus_conn *c = p->table[i]; c != NULL; c = c->next) {
            if (c->state == CONN_CUT)
                return c;
        }
    }
    return NULL;
}

void bus_port_tick(struct bus_port *p)
{
    while (p->cut_count > 0 && !p->stopped) {
        struct bus_conn *c = find_cut(p);
        cluster_link_id id = c->id;
        bool was_up = c->was_up;
        conn_end(c, true);
        if (was_up)
            p->user->down(p->arg, id);
        else
            p->user->failed(p->arg, id);
    }
}

void bus_port_stop(struct bus_port *p)
{
    p->stopped = true;
    for (unsigned i = 0; i < TABLE_SIZE; i++) {
        for (struct bus_conn *c = p->table[i], *next; c != NULL; c = next) {
            next = c->next;
            conn_end(c, false);
        }
    }
}

void bus_port_free(struct bus_port *p)
{
    for (unsigned i = 0; i < TABLE_SIZE; i++) {
        while (p->table[i] != NULL)
            conn_free(p->table[i]);
    }
    free(p);
}

void bus_port_open(struct bus_port *p, cluster_link_id id, const char *ip, uint16_t port)
{
    uint8_t address[BUS_ADDRESS_SIZE];
    struct bus_link *link = NULL;
    if (p->lcore_count > 0 && bus_address_parse(slice_from(ip, strlen(ip)), address))
        link = bus_link_new(&p->paths[p->lcore_next++ % p->lcore_count], false);
    struct bus_conn *c = conn_new(p, id, link);
    if (link == NULL) {
        conn_cut(c);
        return;
    }
    memcpy(link->address, address, sizeof(address));
    link->port = port;
    bus_link_post_lcore(&link->open);
}

void bus_port_close(struct bus_port *p, cluster_link_id id)
{
    struct bus_conn *c = conn_get(p, id);
    if (c != NULL)
        conn_end(c, false);
}

void bus_port_send(struct bus_port *p, cluster_link_id id, struct cluster_frame *frame)
{
    struct bus_conn *c = conn_get(p, id);
    if (c == NULL || c->state != CONN_UP)
        return;
    uint64_t limit = config_get()->cluster_link_sendbuf_limit_bytes;
    if (c->queued_bytes + frame->len > (limit > 0 ? limit : BUS_PORT_QUEUE_MAX)) {
        metric_inc(bus_links_overrun);
        log_warning("A cluster bus link is cut: more than its limit waits to be sent");
        conn_cut(c);
        return;
    }
    struct port_send *send = malloc(sizeof(*send));
    CHECK(send);
    *send = (struct port_send){
        .send = {.link = c->link, .data = frame->bytes, .len = frame->len},
        .next = c->sends,
        .frame = frame,
    };
    if (c->sends != NULL)
        c->sends->prev = send;
    c->sends = send;
    c->queued_bytes += frame->len;
    frame->refs++;
    bus_send_post(&send->send);
}

uint64_t bus_port_queued(const struct bus_port *p, cluster_link_id id)
{
    const struct bus_conn *c = conn_get(p, id);
    return c != NULL ? c->queued_bytes : 0;
}
