#include <arpa/inet.h>
#include "bus_codec.h"
#include "check.h"

#define EPOCH_LIMIT (UINT64_C(1) << 63)

/* ---- single values ---- */

/* Without a branch in the loop: hundreds of names come with each message of a large cluster. */
bool bus_name_valid(const uint8_t *name)
{
    uint8_t wrong = 0;
    for (int i = 0; i < BUS_NAME_SIZE; i++)
        wrong |= ((uint8_t)(name[i] - 'a') >= 26) & ((uint8_t)(name[i] - '0') >= 10);
    return wrong == 0;
}

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool bus_hostname_valid(struct slice text)
{
    if (text.len > BUS_EXT_TEXT_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.data[i]) && text.data[i] != '-' && text.data[i] != '.')
            return false;
    }
    return true;
}

/* As Redis 7.2 restricts them, and nothing that separates fields or words in nodes.conf. */
static bool human_name_valid(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c <= ' ' || c > '~' || strchr("!#$%&()*+,:;<=>?@[]^{|}~", c))
            return false;
    }
    return true;
}

/* Before an IPv4 address (RFC 4291, 2.5.5.2). */
static const uint8_t ip4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool address_usable(const uint8_t address[BUS_ADDRESS_SIZE])
{
    static const uint8_t unspecified[BUS_ADDRESS_SIZE];
    if (memcmp(address, ip4_prefix, sizeof(ip4_prefix)) == 0)
        return memcmp(address + 12, unspecified, 4) != 0 && address[12] < 224;
    return memcmp(address, unspecified, BUS_ADDRESS_SIZE) != 0 && address[0] != 0xff;
}

bool bus_address_parse(struct slice text, uint8_t address[BUS_ADDRESS_SIZE])
{
    char copy[BUS_IP_SIZE];
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    memcpy(address, ip4_prefix, sizeof(ip4_prefix));
    return (inet_pton(AF_INET, copy, address + 12) == 1 ||
            inet_pton(AF_INET6, copy, address) == 1) &&
           address_usable(address);
}

/* Text up to its NUL, which must be among the first size bytes. */
static bool text_take(const uint8_t *at, size_t size, struct slice *text)
{
    const uint8_t *end = memchr(at, '\0', size);
    *text = slice_from(at, end ? (size_t)(end - at) : 0);
    return end != NULL;
}

/* ---- gossip ---- */

void bus_gossip_first(const struct bus_message *m, struct bus_gossip_iter *i)
{
    *i = (struct bus_gossip_iter){.at = m->gossip.data, .left = m->gossip_count};
}

bool bus_gossip_next(struct bus_gossip_iter *i, struct bus_gossip *entry)
{
    while (i->left > 0) {
        const uint8_t *at = i->at;
        i->at += BUS_GOSSIP_SIZE;
        i->left--;
        if (!bus_name_valid(at + BUS_GOSSIP_NAME) ||
            !text_take(at + BUS_GOSSIP_IP, BUS_IP_SIZE, &entry->ip)) {
            i->rejected++;
            continue;
        }
        entry->name = at + BUS_GOSSIP_NAME;
        entry->ping_sent_s = bus_load32(at + BUS_GOSSIP_PING_SENT);
        entry->pong_received_s = bus_load32(at + BUS_GOSSIP_PONG_RECEIVED);
        entry->port = bus_load16(at + BUS_GOSSIP_PORT);
        entry->cport = bus_load16(at + BUS_GOSSIP_CPORT);
        entry->pport = bus_load16(at + BUS_GOSSIP_PPORT);
        entry->flags = bus_load16(at + BUS_GOSSIP_FLAGS);
        return true;
    }
    return false;
}

/* ---- extensions ---- */

/* One of a known type: its size and text. */
static enum bus_reason extension_check(const uint8_t *at, uint32_t len)
{
    struct slice text;
    unsigned type = bus_load16(at + BUS_EXT_TYPE);
    if (type == BUS_EXT_FORGOTTEN && len != BUS_EXT_FORGOTTEN_SIZE)
        return BUS_REASON_EXTENSION_LENGTH;
    if (type == BUS_EXT_SHARD_ID && len != BUS_EXT_SHARD_SIZE)
        return BUS_REASON_EXTENSION_LENGTH;
    if ((type == BUS_EXT_FORGOTTEN || type == BUS_EXT_SHARD_ID) &&
        !bus_name_valid(at + BUS_EXT_DATA))
        return BUS_REASON_NAME;
    if (type != BUS_EXT_HOSTNAME && type != BUS_EXT_HUMAN_NAME)
        return BUS_REASON_NONE;
    if (!text_take(at + BUS_EXT_DATA, len - BUS_EXT_DATA, &text) || text.len > BUS_EXT_TEXT_MAX)
        return BUS_REASON_EXTENSION_TEXT;
    if (type == BUS_EXT_HOSTNAME && !bus_hostname_valid(text))
        return BUS_REASON_EXTENSION_TEXT;
    return BUS_REASON_NONE;
}

/* All of them; *rest is what follows. */
static enum bus_reason extensions_check(struct slice all, uint16_t count, struct slice *rest)
{
    for (uint16_t i = 0; i < count; i++) {
        uint32_t len = all.len < BUS_EXT_DATA ? 0 : bus_load32(all.data + BUS_EXT_LENGTH);
        if (len < BUS_EXT_DATA || len % 8 != 0 || len > all.len)
            return BUS_REASON_EXTENSION_LENGTH;
        enum bus_reason reason = extension_check(all.data, len);
        if (reason != BUS_REASON_NONE)
            return reason;
        all = slice_from(all.data + len, all.len - len);
    }
    *rest = all;
    return BUS_REASON_NONE;
}

void bus_extension_first(const struct bus_message *m, struct bus_extension_iter *i)
{
    *i = (struct bus_extension_iter){.at = m->extensions.data, .left = m->extension_count};
}

/* False: of a kind that means nothing to us. */
static bool extension_read(const uint8_t *at, uint32_t len, struct bus_extension *e)
{
    const uint8_t *data = at + BUS_EXT_DATA;
    *e = (struct bus_extension){.type = bus_load16(at + BUS_EXT_TYPE)};
    switch (e->type) {
    case BUS_EXT_HOSTNAME:
        return text_take(data, len - BUS_EXT_DATA, &e->text);
    case BUS_EXT_HUMAN_NAME:
        return text_take(data, len - BUS_EXT_DATA, &e->text) && human_name_valid(e->text);
    case BUS_EXT_FORGOTTEN:
        e->ttl_s = bus_load64(at + BUS_EXT_FORGOTTEN_TTL);
        e->name = data;
        return true;
    case BUS_EXT_SHARD_ID:
        e->name = data;
        return true;
    default:
        return false;
    }
}

bool bus_extension_next(struct bus_extension_iter *i, struct bus_extension *extension)
{
    while (i->left > 0) {
        const uint8_t *at = i->at;
        uint32_t len = bus_load32(at + BUS_EXT_LENGTH);
        i->at += len;
        i->left--;
        if (extension_read(at, len, extension))
            return true;
    }
    return false;
}

/* ---- bodies: each returns why it is not valid ---- */

static enum bus_reason exactly(struct slice body, uint64_t want)
{
    if (body.len < want)
        return BUS_REASON_BODY_SHORT;
    return body.len > want ? BUS_REASON_BODY_LONG : BUS_REASON_NONE;
}

static enum bus_reason decode_ping(struct slice body, struct bus_message *m)
{
    const uint8_t *head = m->frame.data;
    uint16_t count = bus_load16(head + BUS_AT_COUNT);
    uint16_t extensions = bus_load16(head + BUS_AT_EXTENSIONS);
    size_t gossip_len = (size_t)count * BUS_GOSSIP_SIZE;
    struct slice rest;
    if (body.len < gossip_len)
        return BUS_REASON_BODY_SHORT;
    if (extensions > 0 && !(m->header.mflags & BUS_MFLAG_EXT_DATA))
        return BUS_REASON_EXTENSION_FLAG;
    m->gossip_count = count;
    m->gossip = slice_from(body.data, gossip_len);
    m->extension_count = extensions;
    m->extensions = slice_from(body.data + gossip_len, body.len - gossip_len);
    enum bus_reason reason = extensions_check(m->extensions, extensions, &rest);
    if (reason != BUS_REASON_NONE)
        return reason;
    return exactly(rest, 0);
}

static enum bus_reason decode_fail(struct slice body, struct bus_message *m)
{
    enum bus_reason reason = exactly(body, BUS_FAIL_SIZE);
    if (reason != BUS_REASON_NONE)
        return reason;
    m->fail.name = body.data + BUS_FAIL_NAME;
    return bus_name_valid(m->fail.name) ? BUS_REASON_NONE : BUS_REASON_NAME;
}

static enum bus_reason decode_update(struct slice body, struct bus_message *m)
{
    enum bus_reason reason = exactly(body, BUS_UPDATE_SIZE);
    if (reason != BUS_REASON_NONE)
        return reason;
    m->update.config_epoch = bus_load64(body.data + BUS_UPDATE_EPOCH);
    m->update.name = body.data + BUS_UPDATE_NAME;
    m->update.slots = body.data + BUS_UPDATE_SLOTS;
    if (!bus_name_valid(m->update.name))
        return BUS_REASON_NAME;
    return m->update.config_epoch < EPOCH_LIMIT ? BUS_REASON_NONE : BUS_REASON_EPOCH;
}

static enum bus_reason decode_publish(struct slice body, struct bus_message *m)
{
    if (body.len < BUS_PUBLISH_DATA)
        return BUS_REASON_BODY_SHORT;
    uint64_t channel_len = bus_load32(body.data + BUS_PUBLISH_CHANNEL_LEN);
    uint64_t message_len = bus_load32(body.data + BUS_PUBLISH_MESSAGE_LEN);
    enum bus_reason reason = exactly(body, BUS_PUBLISH_DATA + channel_len + message_len);
    if (reason != BUS_REASON_NONE)
        return reason;
    m->publish.channel = slice_from(body.data + BUS_PUBLISH_DATA, channel_len);
    m->publish.message = slice_from(body.data + BUS_PUBLISH_DATA + channel_len, message_len);
    return BUS_REASON_NONE;
}

static enum bus_reason decode_module(struct slice body, struct bus_message *m)
{
    if (body.len < BUS_MODULE_DATA)
        return BUS_REASON_BODY_SHORT;
    uint64_t len = bus_load32(body.data + BUS_MODULE_LEN);
    enum bus_reason reason = exactly(body, BUS_MODULE_DATA + len);
    if (reason != BUS_REASON_NONE)
        return reason;
    memcpy(&m->module.id, body.data + BUS_MODULE_ID, sizeof(m->module.id));
    m->module.type = body.data[BUS_MODULE_TYPE];
    m->module.payload = slice_from(body.data + BUS_MODULE_DATA, len);
    return BUS_REASON_NONE;
}

static enum bus_reason decode_body(struct slice body, struct bus_message *m)
{
    switch (m->header.type) {
    case BUS_PING:
    case BUS_PONG:
    case BUS_MEET:
        return decode_ping(body, m);
    case BUS_FAIL:
        return decode_fail(body, m);
    case BUS_UPDATE:
        return decode_update(body, m);
    case BUS_PUBLISH:
    case BUS_PUBLISHSHARD:
        return decode_publish(body, m);
    case BUS_MODULE:
        return decode_module(body, m);
    default:
        return exactly(body, 0);
    }
}

/* ---- the header ---- */

static void read_header(const uint8_t *at, struct bus_header *h)
{
    static const uint8_t nobody[BUS_NAME_SIZE];
    const uint8_t *replica_of = at + BUS_AT_REPLICA_OF;
    h->port = bus_load16(at + BUS_AT_PORT);
    h->pport = bus_load16(at + BUS_AT_PPORT);
    h->cport = bus_load16(at + BUS_AT_CPORT);
    h->flags = bus_load16(at + BUS_AT_FLAGS);
    h->state = at[BUS_AT_STATE];
    h->mflags = at[BUS_AT_MFLAGS];
    h->current_epoch = bus_load64(at + BUS_AT_CURRENT_EPOCH);
    h->config_epoch = bus_load64(at + BUS_AT_CONFIG_EPOCH);
    h->offset = bus_load64(at + BUS_AT_OFFSET);
    h->sender = at + BUS_AT_SENDER;
    h->slots = at + BUS_AT_SLOTS;
    h->replica_of = memcmp(replica_of, nobody, sizeof(nobody)) == 0 ? NULL : replica_of;
}

static enum bus_reason decode_header(const uint8_t *at, struct bus_header *h)
{
    read_header(at, h);
    if (!bus_name_valid(h->sender) || (h->replica_of && !bus_name_valid(h->replica_of)))
        return BUS_REASON_NAME;
    if (!text_take(at + BUS_AT_IP, BUS_IP_SIZE, &h->ip))
        return BUS_REASON_ADDRESS;
    return BUS_REASON_NONE;
}

/* Last: what is broken otherwise closes the link. */
static enum bus_reason numbers_check(const struct bus_header *h)
{
    if (h->current_epoch >= EPOCH_LIMIT || h->config_epoch >= EPOCH_LIMIT)
        return BUS_REASON_EPOCH;
    return h->offset >= EPOCH_LIMIT ? BUS_REASON_OFFSET : BUS_REASON_NONE;
}

static enum bus_reason decode_long(struct bus_message *m)
{
    struct slice body = slice_from(m->frame.data + BUS_HEADER_SIZE, m->frame.len - BUS_HEADER_SIZE);
    if (m->header.type >= BUS_TYPE_COUNT)
        return BUS_REASON_TYPE;
    enum bus_reason reason = decode_header(m->frame.data, &m->header);
    if (reason == BUS_REASON_NONE)
        reason = decode_body(body, m);
    return reason == BUS_REASON_NONE ? numbers_check(&m->header) : reason;
}

static enum bus_reason decode_light(struct bus_message *m)
{
    struct slice body = slice_from(m->frame.data + BUS_LIGHT_SIZE, m->frame.len - BUS_LIGHT_SIZE);
    m->light = true;
    m->header.type &= (uint16_t)~BUS_LIGHT_BIT;
    if (m->header.type != BUS_PUBLISH && m->header.type != BUS_PUBLISHSHARD)
        return BUS_REASON_TYPE;
    return decode_publish(body, m);
}

static enum bus_reason decode(struct bus_message *m, const struct bus_limits *limits)
{
    m->header.type = bus_load16(m->frame.data + BUS_AT_TYPE);
    if (bus_load16(m->frame.data + BUS_AT_VERSION) != BUS_VERSION)
        return BUS_REASON_VERSION;
    if (!(m->header.type & BUS_LIGHT_BIT))
        return decode_long(m);
    return limits->light ? decode_light(m) : BUS_REASON_LIGHT;
}

static enum bus_verdict verdict_of(enum bus_reason reason)
{
    switch (reason) {
    case BUS_REASON_NONE:
        return BUS_OK;
    case BUS_REASON_BODY_LONG:
        return BUS_IGNORE;
    case BUS_REASON_VERSION:
    case BUS_REASON_TYPE:
    case BUS_REASON_LIGHT:
    case BUS_REASON_EPOCH:
    case BUS_REASON_OFFSET:
        return BUS_DROP;
    default:
        return BUS_CLOSE;
    }
}

enum bus_verdict bus_decode(struct slice frame, const struct bus_limits *limits,
                            struct bus_message *m, enum bus_reason *why)
{
    uint32_t len = 0;
    enum bus_verdict v = bus_frame_length(frame, limits, &len, why);
    if (v == BUS_CLOSE)
        return v;
    *m = (struct bus_message){.frame = frame};
    if (v == BUS_MORE || len > frame.len)
        *why = BUS_REASON_BODY_SHORT;
    else if (len < frame.len)
        *why = BUS_REASON_BODY_LONG;
    else
        *why = decode(m, limits);
    return verdict_of(*why);
}

/* ---- words ---- */

const char *bus_reason_text(enum bus_reason reason)
{
    static const char *const words[BUS_REASON_COUNT] = {
        [BUS_REASON_NONE] = "none",
        [BUS_REASON_SIGNATURE] = "wrong signature",
        [BUS_REASON_TOO_SHORT] = "length below the header's",
        [BUS_REASON_TOO_LONG] = "length above the limit",
        [BUS_REASON_LIGHT] = "light header where none is legal",
        [BUS_REASON_MEMORY] = "out of memory",
        [BUS_REASON_VERSION] = "another version of the protocol",
        [BUS_REASON_TYPE] = "unknown type",
        [BUS_REASON_BODY_SHORT] = "shorter than what it promises",
        [BUS_REASON_BODY_LONG] = "longer than what it promises",
        [BUS_REASON_EXTENSION_FLAG] = "extensions without their flag",
        [BUS_REASON_EXTENSION_LENGTH] = "extension with a wrong length",
        [BUS_REASON_EXTENSION_TEXT] = "extension with a wrong text",
        [BUS_REASON_NAME] = "not a node id",
        [BUS_REASON_ADDRESS] = "address without end",
        [BUS_REASON_EPOCH] = "epoch of 2^63 or above",
        [BUS_REASON_OFFSET] = "replication offset of 2^63 or above",
    };
    return reason < BUS_REASON_COUNT ? words[reason] : "unknown";
}

const char *bus_type_text(unsigned type)
{
    static const char *const words[BUS_TYPE_COUNT] = {
        "ping",     "pong",   "meet",    "fail",   "publish",      "auth-req",
        "auth-ack", "update", "mfstart", "module", "publishshard",
    };
    return type < BUS_TYPE_COUNT ? words[type] : "unknown";
}
