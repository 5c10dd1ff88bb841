#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "bus_codec.h"
#include "check.h"
#include "nodes_conf_words.h"
#include "numbers.h"

#define EPOCH_LIMIT (UINT64_C(1) << 63)

struct reader {
    struct nodes_conf *conf;
    struct slice text;
    char *err;
    unsigned line;
    uint32_t size;                        /* room in nodes and lines */
    unsigned *lines;                      /* of each node */
    const struct nodes_conf_node **by_id; /* sorted, once all are read */
    uint8_t owned[BUS_SLOTS_SIZE];
    bool has_myself, complete; /* complete: the last line was read */
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *r, const char *format, ...)
{
    int len = snprintf(r->err, NODES_CONF_ERROR_SIZE, "line %u: ", r->line);
    va_list args;
    va_start(args, format);
    vsnprintf(r->err + len, NODES_CONF_ERROR_SIZE - (size_t)len, format, args);
    va_end(args);
    return false;
}

/* ---- words ---- */

/* Up to the separator or the end; the rest begins after the separator. False: nothing is left. */
static bool take_until(struct slice *rest, char separator, struct slice *word)
{
    if (!rest->data)
        return false;
    const uint8_t *at = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
    if (!at) {
        *word = *rest;
        *rest = slice_from(NULL, 0);
        return true;
    }
    size_t len = (size_t)(at - rest->data);
    *word = slice_from(rest->data, len);
    *rest = slice_from(at + 1, rest->len - len - 1);
    return true;
}

static bool word_is(struct slice word, const char *text)
{
    return slice_equal(word, slice_str(text));
}

static bool starts_with(struct slice word, const char *text)
{
    size_t len = strlen(text);
    return word.len >= len && memcmp(word.data, text, len) == 0;
}

/* Copies what fits into size with its NUL. */
static bool keep(char *to, size_t size, struct slice word)
{
    if (word.len >= size)
        return false;
    memcpy(to, word.data, word.len);
    to[word.len] = '\0';
    return true;
}

static bool keep_name(char to[BUS_NAME_SIZE + 1], struct slice word)
{
    return word.len == BUS_NAME_SIZE && bus_name_valid(word.data) &&
           keep(to, BUS_NAME_SIZE + 1, word);
}

static bool parse_port(struct slice word, uint16_t *port)
{
    uint64_t value;
    if (!parse_u64(word, &value) || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_slot(struct slice word, uint16_t *slot)
{
    uint64_t value;
    if (!parse_u64(word, &value) || value >= BUS_SLOTS)
        return false;
    *slot = (uint16_t)value;
    return true;
}

/* Times and epochs: 63 bits. */
static bool parse_63(struct slice word, uint64_t *value)
{
    return parse_u64(word, value) && *value < EPOCH_LIMIT;
}

/* ---- a node's line ---- */

/* Addresses, and host names that stock nodes let be announced as such. */
static bool ip_allowed(struct slice ip)
{
    for (size_t i = 0; i < ip.len; i++) {
        uint8_t c = ip.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && c != '.' && c != ':' && c != '-' && c != '%')
            return false;
    }
    return true;
}

static bool read_endpoint(struct reader *r, struct nodes_conf_node *n, struct slice word)
{
    size_t colon = word.len;
    while (colon > 0 && word.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return refuse(r, "an address is ip:port@busport");
    struct slice ip = slice_from(word.data, colon - 1), port, cport;
    struct slice ports = slice_from(word.data + colon, word.len - colon);
    if (!ip_allowed(ip) || !keep(n->ip, sizeof(n->ip), ip))
        return refuse(r, "no valid address");
    if (!take_until(&ports, '@', &port) || !take_until(&ports, '@', &cport) || ports.data)
        return refuse(r, "an address is ip:port@busport");
    if (!parse_port(port, &n->port) || !parse_port(cport, &n->cport))
        return refuse(r, "a port is out of range");
    return true;
}

static bool human_name_allowed(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    }
    return name.len > 0;
}

static bool read_aux(struct reader *r, struct nodes_conf_node *n, struct slice field)
{
    struct slice name;
    r->conf->has_aux = true;
    if (!take_until(&field, '=', &name) || !field.data || name.len == 0)
        return refuse(r, "an auxiliary field is name=value");
    if (word_is(name, "shard-id"))
        return keep_name(n->shard_id, field) || refuse(r, "no valid shard id");
    if (word_is(name, "nodename")) {
        return (human_name_allowed(field) && keep(n->human_name, sizeof(n->human_name), field)) ||
               refuse(r, "no valid nodename");
    }
    return true;
}

static bool read_address(struct reader *r, struct nodes_conf_node *n, struct slice word)
{
    struct slice part;
    if (!take_until(&word, ',', &part) || !read_endpoint(r, n, part))
        return false;
    if (!take_until(&word, ',', &part))
        return true;
    if (!bus_hostname_valid(part) || !keep(n->hostname, sizeof(n->hostname), part))
        return refuse(r, "no valid hostname");
    if (part.len == 0 && !word.data)
        return refuse(r, "an empty hostname");
    while (take_until(&word, ',', &part)) {
        if (!read_aux(r, n, part))
            return false;
    }
    return true;
}

static uint16_t flag_of(struct slice word)
{
    for (size_t i = 0; i < count_of(nodes_conf_flags); i++) {
        if (word_is(word, nodes_conf_flags[i].word))
            return nodes_conf_flags[i].flag;
    }
    return 0;
}

static bool read_flags(struct reader *r, struct nodes_conf_node *n, struct slice word)
{
    struct slice part;
    if (word_is(word, NODES_CONF_NO_FLAGS))
        return true;
    while (take_until(&word, ',', &part)) {
        uint16_t flag = flag_of(part);
        if (flag == 0 || n->flags & flag)
            return refuse(r, flag == 0 ? "an unknown flag" : "a flag twice");
        n->flags |= flag;
    }
    if (n->flags & BUS_NODE_MASTER && n->flags & BUS_NODE_SLAVE)
        return refuse(r, "both master and slave");
    if (n->flags & BUS_NODE_HANDSHAKE)
        return refuse(r, "a node in handshake is never saved");
    if (n->flags & BUS_NODE_MYSELF && r->has_myself)
        return refuse(r, "a second node is myself");
    if (n->flags & BUS_NODE_MYSELF) {
        r->has_myself = true;
        r->conf->myself = r->conf->node_count;
    }
    return true;
}

static bool read_primary(struct reader *r, struct nodes_conf_node *n, struct slice word)
{
    if (word_is(word, "-"))
        return true;
    if (!keep_name(n->primary, word))
        return refuse(r, "the primary is not a node id");
    if (!(n->flags & BUS_NODE_SLAVE))
        return refuse(r, "a node that is no slave has a primary");
    if (strcmp(n->primary, n->id) == 0)
        return refuse(r, "a node is its own primary");
    return true;
}

/* "5" or "5-10". */
static bool read_slots(struct reader *r, struct nodes_conf_node *n, struct slice word)
{
    struct slice from_word;
    uint16_t from, to;
    (void)take_until(&word, '-', &from_word);
    if (!parse_slot(from_word, &from))
        return refuse(r, "a slot is out of range");
    to = from;
    if (word.data && !parse_slot(word, &to))
        return refuse(r, "a slot is out of range");
    if (word.data && to <= from)
        return refuse(r, "a range of slots is reversed");
    if (n->flags & BUS_NODE_SLAVE)
        return refuse(r, "a replica owns slots");
    uint8_t *slots = (uint8_t *)n->slots;
    if (!slots)
        n->slots = slots = calloc(1, BUS_SLOTS_SIZE);
    CHECK(slots);
    for (unsigned slot = from; slot <= to; slot++) {
        if (bus_slot_get(r->owned, slot))
            return refuse(r, "slot %u is owned twice", slot);
        bus_slot_set(r->owned, slot, true);
        bus_slot_set(slots, slot, true);
    }
    return true;
}

/* "[5->-id]" or "[5-<-id]". */
static bool read_move(struct reader *r, struct nodes_conf_node *n, struct slice word)
{
    struct nodes_conf_move move = {0};
    struct slice inner = slice_from(word.data + 1, word.len - 2), slot, direction;
    if (word.len < 2 || word.data[word.len - 1] != ']' || !take_until(&inner, '-', &slot) ||
        !take_until(&inner, '-', &direction) || direction.len != 1 || !inner.data)
        return refuse(r, "a moving slot is [slot->-id] or [slot-<-id]");
    move.importing = direction.data[0] == '<';
    if (!move.importing && direction.data[0] != '>')
        return refuse(r, "a moving slot is [slot->-id] or [slot-<-id]");
    if (!parse_slot(slot, &move.slot))
        return refuse(r, "a slot is out of range");
    if (!keep_name(move.id, inner))
        return refuse(r, "a moving slot's other end is not a node id");
    if (!(n->flags & BUS_NODE_MYSELF))
        return refuse(r, "a slot moves that is not ours");
    if (n->move_count > 0 && n->moves[n->move_count - 1].slot >= move.slot)
        return refuse(r, "slot %u moves twice, or out of order", move.slot);
    struct nodes_conf_move *moves = (struct nodes_conf_move *)n->moves;
    if ((n->move_count & (n->move_count - 1)) == 0) /* full: its size is a power of two */
        moves = realloc(moves, (n->move_count ? n->move_count * 2 : 1) * sizeof(*moves));
    CHECK(moves);
    moves[n->move_count++] = move;
    n->moves = moves;
    return true;
}

static bool read_numbers(struct reader *r, struct nodes_conf_node *n, struct slice *line)
{
    struct slice ping, pong, epoch;
    if (!take_until(line, ' ', &ping) || !take_until(line, ' ', &pong) ||
        !take_until(line, ' ', &epoch))
        return refuse(r, "a node's line has eight words or more");
    if (!parse_63(ping, &n->ping_sent_ms) || !parse_63(pong, &n->pong_received_ms))
        return refuse(r, "no valid time of a ping");
    if (!parse_63(epoch, &n->config_epoch))
        return refuse(r, "no valid epoch");
    return true;
}

static bool read_fields(struct reader *r, struct nodes_conf_node *n, struct slice line)
{
    struct slice id, address, flags, primary, state, word;
    if (!take_until(&line, ' ', &id) || !keep_name(n->id, id))
        return refuse(r, "not a node id of %d characters", BUS_NAME_SIZE);
    if (!take_until(&line, ' ', &address) || !take_until(&line, ' ', &flags) ||
        !take_until(&line, ' ', &primary))
        return refuse(r, "a node's line has eight words or more");
    if (!read_address(r, n, address) || !read_flags(r, n, flags) || !read_primary(r, n, primary) ||
        !read_numbers(r, n, &line))
        return false;
    if (!take_until(&line, ' ', &state))
        return refuse(r, "a node's line has eight words or more");
    n->connected = word_is(state, "connected");
    if (!n->connected && !word_is(state, "disconnected"))
        return refuse(r, "the link is connected or disconnected");
    while (take_until(&line, ' ', &word)) {
        bool move = starts_with(word, "[");
        if (!(move ? read_move(r, n, word) : read_slots(r, n, word)))
            return false;
    }
    return true;
}

static bool read_node(struct reader *r, struct slice line)
{
    struct nodes_conf *conf = r->conf;
    if (r->by_id)
        return refuse(r, "a node after the first line of vars");
    if (conf->node_count == NODES_CONF_NODES_MAX)
        return refuse(r, "more than %d nodes", NODES_CONF_NODES_MAX);
    if (conf->node_count == r->size) {
        r->size = r->size ? r->size * 2 : 8;
        conf->nodes = realloc(conf->nodes, r->size * sizeof(*conf->nodes));
        r->lines = realloc(r->lines, r->size * sizeof(*r->lines));
        CHECK(conf->nodes);
        CHECK(r->lines);
    }
    struct nodes_conf_node *n = &conf->nodes[conf->node_count];
    memset(n, 0, sizeof(*n));
    r->lines[conf->node_count] = r->line;
    bool read = read_fields(r, n, line);
    conf->node_count++; /* in any case: what it holds is freed */
    return read;
}

/* ---- all nodes together ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct nodes_conf_node *const *one = a, *const *other = b;
    return strcmp((*one)->id, (*other)->id);
}

static struct nodes_conf_node *find(const struct reader *r, const char *id)
{
    struct nodes_conf_node key;
    const struct nodes_conf_node *at = &key;
    memcpy(key.id, id, sizeof(key.id));
    const struct nodes_conf_node **found =
        bsearch(&at, r->by_id, r->conf->node_count, sizeof(*r->by_id), compare_ids);
    return found ? (struct nodes_conf_node *)*found : NULL;
}

static bool sort_nodes(struct reader *r)
{
    struct nodes_conf *conf = r->conf;
    if (!r->has_myself)
        return refuse(r, "no node before it is myself");
    r->by_id = malloc(conf->node_count * sizeof(*r->by_id));
    CHECK(r->by_id);
    for (uint32_t i = 0; i < conf->node_count; i++)
        r->by_id[i] = &conf->nodes[i];
    qsort(r->by_id, conf->node_count, sizeof(*r->by_id), compare_ids);
    for (uint32_t i = 1; i < conf->node_count; i++) {
        size_t one = (size_t)(r->by_id[i - 1] - conf->nodes);
        size_t other = (size_t)(r->by_id[i] - conf->nodes);
        if (strcmp(r->by_id[i - 1]->id, r->by_id[i]->id) != 0)
            continue;
        r->line = r->lines[one > other ? one : other];
        return refuse(r, "the same node twice");
    }
    return true;
}

static bool check_primaries(struct reader *r)
{
    for (uint32_t i = 0; i < r->conf->node_count; i++) {
        const struct nodes_conf_node *n = &r->conf->nodes[i];
        if (n->primary[0] == '\0')
            continue;
        const struct nodes_conf_node *primary = find(r, n->primary);
        r->line = r->lines[i];
        if (!primary)
            return refuse(r, "its primary is not in the file");
        if (n->shard_id[0] != '\0' && primary->shard_id[0] != '\0' &&
            strcmp(n->shard_id, primary->shard_id) != 0)
            return refuse(r, "its shard is not its primary's");
    }
    return true;
}

/* ---- vars ---- */

struct vars {
    bool current, vote, checksum;
};

static bool read_shard(struct reader *r, struct slice id, struct slice value)
{
    char name[BUS_NAME_SIZE + 1];
    struct nodes_conf_node *n = keep_name(name, id) ? find(r, name) : NULL;
    if (!n)
        return refuse(r, "a shard of a node that is not in the file");
    if (n->shard_id[0] != '\0')
        return refuse(r, "a node's shard twice");
    return keep_name(n->shard_id, value) || refuse(r, "no valid shard id");
}

static bool read_checksum(struct reader *r, struct slice value, struct vars *seen)
{
    char digits[NODES_CONF_CHECKSUM_DIGITS + 1];
    size_t before = (size_t)(value.data - r->text.data);
    uint64_t sum = nodes_conf_checksum(slice_from(r->text.data, before));
    snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)sum);
    if (seen->checksum || !word_is(value, digits))
        return refuse(r, "the checksum is wrong: the file is damaged or was edited");
    seen->checksum = r->conf->has_checksum = true;
    return true;
}

static bool read_epoch(struct reader *r, struct slice value, uint64_t *epoch, bool *seen)
{
    if (*seen)
        return refuse(r, "an epoch twice");
    *seen = true;
    return parse_63(value, epoch) || refuse(r, "no valid epoch");
}

static bool read_var(struct reader *r, struct slice name, struct slice value, struct vars *seen)
{
    if (seen->checksum)
        return refuse(r, "something after the checksum");
    if (word_is(name, "currentEpoch"))
        return read_epoch(r, value, &r->conf->current_epoch, &seen->current);
    if (word_is(name, "lastVoteEpoch"))
        return read_epoch(r, value, &r->conf->last_vote_epoch, &seen->vote);
    if (word_is(name, "checksum"))
        return read_checksum(r, value, seen);
    size_t prefix = strlen(NODES_CONF_SHARD_VAR);
    if (starts_with(name, NODES_CONF_SHARD_VAR))
        return read_shard(r, slice_from(name.data + prefix, name.len - prefix), value);
    return true;
}

static bool read_vars(struct reader *r, struct slice line)
{
    struct vars seen = {0};
    struct slice name, value;
    if (!r->by_id && !sort_nodes(r))
        return false;
    (void)take_until(&line, ' ', &name); /* "vars" */
    while (take_until(&line, ' ', &name)) {
        if (!take_until(&line, ' ', &value) || name.len == 0 || value.len == 0)
            return refuse(r, "vars come in pairs");
        if (!read_var(r, name, value, &seen))
            return false;
    }
    if (seen.current != seen.vote || (seen.checksum && !seen.current))
        return refuse(r, "vars without currentEpoch or lastVoteEpoch");
    r->complete = seen.current;
    if (r->complete && r->conf->last_vote_epoch > r->conf->current_epoch)
        return refuse(r, "lastVoteEpoch is above currentEpoch");
    return true;
}

/* ---- the file ---- */

static bool read_line(struct reader *r, struct slice line)
{
    if (line.len == 0)
        return true; /* Redis pads with them when the file shrinks */
    if (memchr(line.data, '\0', line.len))
        return refuse(r, "a NUL byte");
    if (r->complete)
        return refuse(r, "something after the last line");
    return starts_with(line, "vars ") ? read_vars(r, line) : read_node(r, line);
}

static bool read_file(struct reader *r)
{
    struct slice rest = r->text, line;
    if (r->text.len > NODES_CONF_SIZE_MAX)
        return refuse(r, "a file of more than %u bytes", NODES_CONF_SIZE_MAX);
    while (rest.len > 0 && take_until(&rest, '\n', &line)) {
        r->line++;
        if (!rest.data)
            return refuse(r, "the file ends within it");
        if (!read_line(r, line))
            return false;
    }
    if (!r->complete)
        return refuse(r, "the file ends without vars currentEpoch and lastVoteEpoch");
    return check_primaries(r);
}

struct nodes_conf *nodes_conf_parse(struct slice text, char err[NODES_CONF_ERROR_SIZE])
{
    struct reader r = {.text = text, .err = err};
    err[0] = '\0';
    r.conf = calloc(1, sizeof(*r.conf));
    CHECK(r.conf);
    bool read = read_file(&r);
    free(r.lines);
    free(r.by_id);
    if (read)
        return r.conf;
    nodes_conf_free(r.conf);
    return NULL;
}

void nodes_conf_free(struct nodes_conf *conf)
{
    if (!conf)
        return;
    for (uint32_t i = 0; i < conf->node_count; i++) {
        free((void *)conf->nodes[i].slots);
        free((void *)conf->nodes[i].moves);
    }
    free(conf->nodes);
    free(conf);
}
