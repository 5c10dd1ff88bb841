#include "bus_codec.h"
#include "check.h"

/* The next len bytes, zeroed. */
static uint8_t *take(struct bus_writer *w, size_t len)
{
    CHECK(len <= w->size - w->len);
    uint8_t *at = w->buf + w->len;
    memset(at, 0, len);
    w->len += len;
    return at;
}

static void copy(uint8_t *at, struct slice from)
{
    if (from.len > 0)
        memcpy(at, from.data, from.len);
}

static void count_up(uint8_t *at)
{
    uint16_t count = bus_load16(at);
    CHECK(count < UINT16_MAX);
    bus_store16(at, (uint16_t)(count + 1));
}

static uint16_t type_of(const struct bus_writer *w)
{
    return bus_load16(w->buf + BUS_AT_TYPE);
}

static void store_front(uint8_t *at, uint16_t type)
{
    memcpy(at + BUS_AT_SIGNATURE, BUS_SIGNATURE, 4);
    bus_store16(at + BUS_AT_VERSION, BUS_VERSION);
    bus_store16(at + BUS_AT_TYPE, type);
}

void bus_write_begin(struct bus_writer *w, uint8_t *buf, size_t size, const struct bus_header *h)
{
    CHECK(h->type < BUS_TYPE_COUNT);
    CHECK(h->ip.len < BUS_IP_SIZE);
    CHECK_DEBUG(bus_name_valid(h->sender));
    *w = (struct bus_writer){.buf = buf, .size = size};
    uint8_t *at = take(w, BUS_HEADER_SIZE);
    store_front(at, h->type);
    bus_store16(at + BUS_AT_PORT, h->port);
    bus_store16(at + BUS_AT_PPORT, h->pport);
    bus_store16(at + BUS_AT_CPORT, h->cport);
    bus_store16(at + BUS_AT_FLAGS, h->flags);
    at[BUS_AT_STATE] = h->state;
    at[BUS_AT_MFLAGS] = h->mflags;
    bus_store64(at + BUS_AT_CURRENT_EPOCH, h->current_epoch);
    bus_store64(at + BUS_AT_CONFIG_EPOCH, h->config_epoch);
    bus_store64(at + BUS_AT_OFFSET, h->offset);
    memcpy(at + BUS_AT_SENDER, h->sender, BUS_NAME_SIZE);
    memcpy(at + BUS_AT_SLOTS, h->slots, BUS_SLOTS_SIZE);
    if (h->replica_of)
        memcpy(at + BUS_AT_REPLICA_OF, h->replica_of, BUS_NAME_SIZE);
    copy(at + BUS_AT_IP, h->ip);
}

void bus_write_light(struct bus_writer *w, uint8_t *buf, size_t size, uint16_t type)
{
    CHECK(type == BUS_PUBLISH || type == BUS_PUBLISHSHARD);
    *w = (struct bus_writer){.buf = buf, .size = size};
    store_front(take(w, BUS_LIGHT_SIZE), type | BUS_LIGHT_BIT);
}

void bus_write_gossip(struct bus_writer *w, const struct bus_gossip *entry)
{
    CHECK(bus_type_is_ping(type_of(w)));
    CHECK(bus_load16(w->buf + BUS_AT_EXTENSIONS) == 0);
    CHECK(entry->ip.len < BUS_IP_SIZE);
    CHECK_DEBUG(bus_name_valid(entry->name));
    count_up(w->buf + BUS_AT_COUNT);
    uint8_t *at = take(w, BUS_GOSSIP_SIZE);
    memcpy(at + BUS_GOSSIP_NAME, entry->name, BUS_NAME_SIZE);
    bus_store32(at + BUS_GOSSIP_PING_SENT, entry->ping_sent_s);
    bus_store32(at + BUS_GOSSIP_PONG_RECEIVED, entry->pong_received_s);
    copy(at + BUS_GOSSIP_IP, entry->ip);
    bus_store16(at + BUS_GOSSIP_PORT, entry->port);
    bus_store16(at + BUS_GOSSIP_CPORT, entry->cport);
    bus_store16(at + BUS_GOSSIP_PPORT, entry->pport);
    bus_store16(at + BUS_GOSSIP_FLAGS, entry->flags);
}

size_t bus_extension_size(const struct bus_extension *extension)
{
    switch (extension->type) {
    case BUS_EXT_FORGOTTEN:
        return BUS_EXT_FORGOTTEN_SIZE;
    case BUS_EXT_SHARD_ID:
        return BUS_EXT_SHARD_SIZE;
    default:
        CHECK(extension->type <= BUS_EXT_HUMAN_NAME);
        CHECK(extension->text.len <= BUS_EXT_TEXT_MAX);
        return (BUS_EXT_DATA + extension->text.len + 1 + 7) / 8 * 8;
    }
}

void bus_write_extension(struct bus_writer *w, const struct bus_extension *extension)
{
    CHECK(bus_type_is_ping(type_of(w)));
    size_t size = bus_extension_size(extension);
    count_up(w->buf + BUS_AT_EXTENSIONS);
    w->buf[BUS_AT_MFLAGS] |= BUS_MFLAG_EXT_DATA;
    uint8_t *at = take(w, size);
    bus_store32(at + BUS_EXT_LENGTH, (uint32_t)size);
    bus_store16(at + BUS_EXT_TYPE, extension->type);
    if (extension->type <= BUS_EXT_HUMAN_NAME) {
        copy(at + BUS_EXT_DATA, extension->text);
        return;
    }
    memcpy(at + BUS_EXT_DATA, extension->name, BUS_NAME_SIZE);
    if (extension->type == BUS_EXT_FORGOTTEN)
        bus_store64(at + BUS_EXT_FORGOTTEN_TTL, extension->ttl_s);
}

void bus_write_fail(struct bus_writer *w, const uint8_t *name)
{
    CHECK(type_of(w) == BUS_FAIL);
    memcpy(take(w, BUS_FAIL_SIZE), name, BUS_NAME_SIZE);
}

void bus_write_update(struct bus_writer *w, uint64_t config_epoch, const uint8_t *name,
                      const uint8_t *slots)
{
    CHECK(type_of(w) == BUS_UPDATE);
    uint8_t *at = take(w, BUS_UPDATE_SIZE);
    bus_store64(at + BUS_UPDATE_EPOCH, config_epoch);
    memcpy(at + BUS_UPDATE_NAME, name, BUS_NAME_SIZE);
    memcpy(at + BUS_UPDATE_SLOTS, slots, BUS_SLOTS_SIZE);
}

static size_t publish_body_size(struct slice channel, struct slice message)
{
    return BUS_PUBLISH_DATA + channel.len + message.len;
}

size_t bus_publish_size(struct slice channel, struct slice message, bool light)
{
    return (light ? BUS_LIGHT_SIZE : BUS_HEADER_SIZE) + publish_body_size(channel, message);
}

void bus_write_publish(struct bus_writer *w, struct slice channel, struct slice message)
{
    unsigned type = type_of(w) & ~(unsigned)BUS_LIGHT_BIT;
    CHECK(type == BUS_PUBLISH || type == BUS_PUBLISHSHARD);
    uint8_t *at = take(w, publish_body_size(channel, message));
    bus_store32(at + BUS_PUBLISH_CHANNEL_LEN, (uint32_t)channel.len);
    bus_store32(at + BUS_PUBLISH_MESSAGE_LEN, (uint32_t)message.len);
    copy(at + BUS_PUBLISH_DATA, channel);
    copy(at + BUS_PUBLISH_DATA + channel.len, message);
}

size_t bus_module_size(struct slice payload)
{
    return BUS_HEADER_SIZE + BUS_MODULE_DATA + payload.len;
}

void bus_write_module(struct bus_writer *w, uint64_t id, uint8_t type, struct slice payload)
{
    CHECK(type_of(w) == BUS_MODULE);
    uint8_t *at = take(w, BUS_MODULE_DATA + payload.len);
    memcpy(at + BUS_MODULE_ID, &id, sizeof(id));
    bus_store32(at + BUS_MODULE_LEN, (uint32_t)payload.len);
    at[BUS_MODULE_TYPE] = type;
    copy(at + BUS_MODULE_DATA, payload);
}

size_t bus_write_end(struct bus_writer *w)
{
    CHECK(w->len <= UINT32_MAX);
    bus_store32(w->buf + BUS_AT_TOTLEN, (uint32_t)w->len);
    return w->len;
}
