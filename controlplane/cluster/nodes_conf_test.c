#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "nodes_conf.h"

#define A "07c37dfeb235213a872192d90877d0cd55635b91"
#define B "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1"
#define C "292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f"
#define S "1111111111111111111111111111111111111111"
#define Z "2222222222222222222222222222222222222222"

#define LINE_A A " 127.0.0.1:30001@40001 myself,master - 0 1426238317000 1 connected 0-5460"
#define LINE_B \
    B " 127.0.0.1:30002@40002,node-2.example master - 0 1426238316232 2 connected 5461 5463-9000"
#define LINE_C C " ::1:30003@40003 slave " B " 1426238317741 1426238317740 2 disconnected"
#define VARS "vars currentEpoch 2 lastVoteEpoch 1"
#define STOCK LINE_A "\n" LINE_B "\n" LINE_C "\n" VARS "\n"

static char err[NODES_CONF_ERROR_SIZE];

static struct nodes_conf *parse(const char *text, size_t len)
{
    char *exact = malloc(len + !len); /* reads past its end are seen */
    assert_non_null(exact);
    memcpy(exact, text, len);
    struct nodes_conf *conf = nodes_conf_parse(slice_from(exact, len), err);
    assert_true((conf != NULL) == (err[0] == '\0'));
    free(exact);
    return conf;
}

static void expect_refused(const char *text, const char *why)
{
    struct nodes_conf *conf = parse(text, strlen(text));
    assert_null(conf);
    assert_string_equal(err, why);
}

static struct nodes_text print(const struct nodes_conf *conf)
{
    struct nodes_text out = {0};
    nodes_conf_print(&out, conf);
    return out;
}

static void expect_identity(const char *text)
{
    struct nodes_conf *conf = parse(text, strlen(text));
    if (!conf)
        fail_msg("%s", err);
    struct nodes_text out = print(conf);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.data, text, out.len);
    free(out.data);
    nodes_conf_free(conf);
}

/* As we save it: with a checksum. */
static struct nodes_text ours(const char *text)
{
    struct nodes_conf *conf = parse(text, strlen(text));
    assert_non_null(conf);
    conf->has_checksum = true;
    conf->has_aux = false;
    struct nodes_text out = print(conf);
    nodes_conf_free(conf);
    return out;
}

static void test_fields(void **state)
{
    struct nodes_conf *conf = parse(STOCK, strlen(STOCK));
    assert_non_null(conf);
    assert_int_equal(conf->node_count, 3);
    assert_int_equal(conf->myself, 0);
    assert_int_equal(conf->current_epoch, 2);
    assert_int_equal(conf->last_vote_epoch, 1);
    assert_false(conf->has_checksum);
    assert_false(conf->has_aux);
    const struct nodes_conf_node *n = &conf->nodes[0];
    assert_string_equal(n->id, A);
    assert_string_equal(n->ip, "127.0.0.1");
    assert_int_equal(n->port, 30001);
    assert_int_equal(n->cport, 40001);
    assert_int_equal(n->flags, BUS_NODE_MYSELF | BUS_NODE_MASTER);
    assert_string_equal(n->primary, "");
    assert_int_equal(n->ping_sent_ms, 0);
    assert_int_equal(n->pong_received_ms, 1426238317000);
    assert_int_equal(n->config_epoch, 1);
    assert_true(n->connected);
    assert_true(bus_slot_get(n->slots, 0) && bus_slot_get(n->slots, 5460));
    assert_false(bus_slot_get(n->slots, 5461));
    n = &conf->nodes[1];
    assert_string_equal(n->hostname, "node-2.example");
    assert_false(bus_slot_get(n->slots, 5462));
    n = &conf->nodes[2];
    assert_string_equal(n->ip, "::1");
    assert_string_equal(n->primary, B);
    assert_null(n->slots);
    assert_false(n->connected);
    nodes_conf_free(conf);
}

static void test_identity(void **state)
{
    expect_identity(STOCK);
    expect_identity(A " :6379@16379 myself,master - 0 0 0 connected\n"
                      "vars currentEpoch 0 lastVoteEpoch 0\n");
    expect_identity(
        A " 1.2.3.4:1@2 myself,slave - 0 0 0 connected\n" B " :0@0 noflags - 0 0 0 disconnected\n" C
          " 1.2.3.4:0@0 master,fail?,fail,noaddr,nofailover - 5 6 7 disconnected 16383\n"
          "vars currentEpoch 9223372036854775807 lastVoteEpoch 9223372036854775807\n");
    expect_identity(LINE_A " [1->-" B "] [7000-<-" C "] [7001-<-" S "]\n" LINE_B "\n" VARS "\n");
    /* 7.2 */
    expect_identity(A " 1.2.3.4:1@2,,nodename=one,shard-id=" S
                      " myself,master - 0 0 0 connected 0\n" B " 1.2.3.4:1@2,host,shard-id=" S
                      " slave " A " 0 0 0 connected\n" VARS "\n");
    /* ours */
    expect_identity(LINE_A "\n" LINE_B "\n"
                           "vars shard-id:" A " " S "\nvars shard-id:" B " " Z "\n" VARS "\n");
}

static void test_ours_with_checksum(void **state)
{
    struct nodes_text out = ours(LINE_A "\nvars shard-id:" A " " S "\n" VARS "\n");
    struct nodes_conf *conf = parse(out.data, out.len);
    assert_non_null(conf);
    assert_true(conf->has_checksum);
    assert_string_equal(conf->nodes[0].shard_id, S);
    struct nodes_text again = print(conf);
    assert_int_equal(out.len, again.len);
    assert_memory_equal(out.data, again.data, out.len);
    free(again.data);
    free(out.data);
    nodes_conf_free(conf);
}

static void test_what_stock_nodes_leave(void **state)
{
    struct nodes_conf *conf;
    /* Padded when the file shrank. */
    assert_non_null(conf = parse(STOCK "\n\n\n", strlen(STOCK) + 3));
    nodes_conf_free(conf);
    const char *unknown = LINE_A "\nvars currentEpoch 3 something 7 lastVoteEpoch 0\n";
    assert_non_null(conf = parse(unknown, strlen(unknown)));
    assert_int_equal(conf->current_epoch, 3);
    nodes_conf_free(conf);
}

/* ---- row 66 and its neighbours ---- */

#define MYSELF(address, flags, rest) A " " address " " flags " " rest "\n" VARS "\n"
#define GOOD "1.2.3.4:1@2"

static void test_nodes_refused(void **state)
{
    expect_refused("", "line 0: the file ends without vars currentEpoch and lastVoteEpoch");
    expect_refused("\n", "line 1: the file ends without vars currentEpoch and lastVoteEpoch");
    expect_refused(VARS "\n", "line 1: no node before it is myself");
    expect_refused(LINE_B "\n" VARS "\n", "line 2: no node before it is myself");
    expect_refused(LINE_A "\n",
                   "line 1: the file ends without vars currentEpoch and lastVoteEpoch");
    expect_refused(LINE_A "\n" B " " GOOD " myself,master - 0 0 0 connected\n" VARS "\n",
                   "line 2: a second node is myself");
    expect_refused(LINE_A "\n" LINE_A "\n" VARS "\n", "line 2: a second node is myself");
    expect_refused(LINE_A "\n" LINE_B "\n" B " " GOOD " master - 0 0 0 connected\n" VARS "\n",
                   "line 3: the same node twice");
    expect_refused("07c37dfeb235213a872192d90877d0cd55635b9 " GOOD " myself,master - 0 0 0 "
                   "connected\n" VARS "\n",
                   "line 1: not a node id of 40 characters");
    expect_refused("07C37dfeb235213a872192d90877d0cd55635b91 " GOOD " myself,master - 0 0 0 "
                   "connected\n" VARS "\n",
                   "line 1: not a node id of 40 characters");
    expect_refused(MYSELF("1.2.3.4", "myself,master", "- 0 0 0 connected"),
                   "line 1: an address is ip:port@busport");
    expect_refused(MYSELF("1.2.3.4:1", "myself,master", "- 0 0 0 connected"),
                   "line 1: an address is ip:port@busport");
    expect_refused(MYSELF("1.2.3.4:65536@2", "myself,master", "- 0 0 0 connected"),
                   "line 1: a port is out of range");
    expect_refused(MYSELF("1.2/3.4:1@2", "myself,master", "- 0 0 0 connected"),
                   "line 1: no valid address");
    expect_refused(MYSELF(GOOD ",a_b", "myself,master", "- 0 0 0 connected"),
                   "line 1: no valid hostname");
    expect_refused(MYSELF(GOOD ",", "myself,master", "- 0 0 0 connected"),
                   "line 1: an empty hostname");
    expect_refused(MYSELF(GOOD ",,shard-id=12", "myself,master", "- 0 0 0 connected"),
                   "line 1: no valid shard id");
    expect_refused(MYSELF(GOOD, "myself,primary", "- 0 0 0 connected"), "line 1: an unknown flag");
    expect_refused(MYSELF(GOOD, "myself,master,master", "- 0 0 0 connected"),
                   "line 1: a flag twice");
    expect_refused(MYSELF(GOOD, "myself,master,slave", "- 0 0 0 connected"),
                   "line 1: both master and slave");
    expect_refused(MYSELF(GOOD, "handshake", "- 0 0 0 connected"),
                   "line 1: a node in handshake is never saved");
    expect_refused(MYSELF(GOOD, "myself,master", B " 0 0 0 connected"),
                   "line 1: a node that is no slave has a primary");
    expect_refused(MYSELF(GOOD, "myself,slave", A " 0 0 0 connected"),
                   "line 1: a node is its own primary");
    expect_refused(MYSELF(GOOD, "myself,slave", B " 0 0 0 connected"),
                   "line 1: its primary is not in the file");
    expect_refused(MYSELF(GOOD, "myself,slave", "me 0 0 0 connected"),
                   "line 1: the primary is not a node id");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 -1 0 connected"),
                   "line 1: no valid time of a ping");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 9223372036854775808 connected"),
                   "line 1: no valid epoch");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 conected"),
                   "line 1: the link is connected or disconnected");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0"),
                   "line 1: a node's line has eight words or more");
}

static void test_slots_refused(void **state)
{
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected -1"),
                   "line 1: a slot is out of range");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected 16384"),
                   "line 1: a slot is out of range");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected 1-16384"),
                   "line 1: a slot is out of range");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected 7-5"),
                   "line 1: a range of slots is reversed");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected 5-5"),
                   "line 1: a range of slots is reversed");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected 1-5 3"),
                   "line 1: slot 3 is owned twice");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected "),
                   "line 1: a slot is out of range");
    expect_refused(LINE_A "\n" B " " GOOD " master - 0 0 0 connected 5460\n" VARS "\n",
                   "line 2: slot 5460 is owned twice");
    expect_refused(LINE_A "\n" LINE_B "\n" C " " GOOD " slave " B " 0 0 0 connected 16000\n" VARS
                          "\n",
                   "line 3: a replica owns slots");
}

static void test_moves_refused(void **state)
{
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected [5-" B "]"),
                   "line 1: a moving slot is [slot->-id] or [slot-<-id]");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected ["),
                   "line 1: a moving slot is [slot->-id] or [slot-<-id]");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected [5->-" B),
                   "line 1: a moving slot is [slot->-id] or [slot-<-id]");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected [16384->-" B "]"),
                   "line 1: a slot is out of range");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected [5->-12]"),
                   "line 1: a moving slot's other end is not a node id");
    expect_refused(MYSELF(GOOD, "myself,master", "- 0 0 0 connected [5->-" B "] [5-<-" B "]"),
                   "line 1: slot 5 moves twice, or out of order");
    expect_refused(LINE_A "\n" B " " GOOD " master - 0 0 0 connected [5->-" A "]\n" VARS "\n",
                   "line 2: a slot moves that is not ours");
}

static void test_vars_refused(void **state)
{
    expect_refused(LINE_A "\nvars currentEpoch 2\n",
                   "line 2: vars without currentEpoch or lastVoteEpoch");
    expect_refused(LINE_A "\nvars currentEpoch 2 lastVoteEpoch\n", "line 2: vars come in pairs");
    expect_refused(LINE_A "\nvars currentEpoch 2 lastVoteEp\n", "line 2: vars come in pairs");
    expect_refused(LINE_A "\nvars currentEpoch 2 lastVoteEpoch 1",
                   "line 2: the file ends within it");
    expect_refused(LINE_A "\nvars", "line 2: the file ends within it");
    expect_refused(LINE_A "\nvars currentEpoch 9223372036854775808 lastVoteEpoch 0\n",
                   "line 2: no valid epoch");
    expect_refused(LINE_A "\nvars currentEpoch 99999999999999999999999 lastVoteEpoch 0\n",
                   "line 2: no valid epoch");
    expect_refused(LINE_A "\nvars currentEpoch 1 currentEpoch 1\n", "line 2: an epoch twice");
    expect_refused(LINE_A "\nvars currentEpoch 1 lastVoteEpoch 2\n",
                   "line 2: lastVoteEpoch is above currentEpoch");
    expect_refused(LINE_A "\n" VARS "\n" LINE_B "\n", "line 3: something after the last line");
    expect_refused(LINE_A "\n" VARS "\n" VARS "\n", "line 3: something after the last line");
    expect_refused(LINE_A "\n" VARS " checksum 0000000000000000\n",
                   "line 2: the checksum is wrong: the file is damaged or was edited");
    expect_refused(LINE_A "\nvars shard-id:" A " " S "\n" LINE_B "\n" VARS "\n",
                   "line 3: a node after the first line of vars");
    expect_refused(LINE_A "\nvars shard-id:" B " " S "\n" VARS "\n",
                   "line 2: a shard of a node that is not in the file");
    expect_refused(LINE_A "\nvars shard-id:" A " " S "\nvars shard-id:" A " " Z "\n" VARS "\n",
                   "line 3: a node's shard twice");
    expect_refused(STOCK "vars currentEpoch 2 lastVoteEpoch 1 shard-id:" C " " S "\n",
                   "line 5: something after the last line");
}

static void test_wrong_shard_refused(void **state)
{
    expect_refused(A " 1.2.3.4:1@2,,shard-id=" S " myself,master - 0 0 0 connected\n" B
                     " 1.2.3.4:1@2,host,shard-id=" Z " slave " A " 0 0 0 connected\n" VARS "\n",
                   "line 2: its shard is not its primary's");
    expect_refused(LINE_A "\n" C " 1.2.3.4:1@2 slave " A " 0 0 0 connected\nvars shard-id:" A " " S
                          "\nvars shard-id:" C " " Z "\n" VARS "\n",
                   "line 2: its shard is not its primary's");
}

static void test_nul_refused(void **state)
{
    char text[] = STOCK;
    text[150] = '\0';
    assert_null(parse(text, sizeof(text) - 1));
    assert_string_equal(err, "line 2: a NUL byte");
}

/* Refused, or the same content. */
static void expect_no_change(const char *text, size_t len, const struct nodes_text *want)
{
    struct nodes_conf *conf = parse(text, len);
    if (!conf)
        return;
    conf->has_checksum = true;
    struct nodes_text out = print(conf);
    assert_int_equal(out.len, want->len);
    assert_memory_equal(out.data, want->data, out.len);
    free(out.data);
    nodes_conf_free(conf);
}

static void test_every_truncation(void **state)
{
    struct nodes_text want = ours(STOCK);
    for (size_t len = 0; len < want.len; len++)
        assert_null(parse(want.data, len));
    for (size_t len = 0; len < strlen(STOCK); len++)
        assert_null(parse(STOCK, len));
    free(want.data);
}

static void test_every_bit_flip(void **state)
{
    struct nodes_text want =
        ours(LINE_A " [1->-" B "]\n" LINE_B "\nvars shard-id:" A " " S "\n" VARS "\n");
    for (size_t bit = 0; bit < want.len * 8; bit++) {
        want.data[bit / 8] ^= (char)(1 << bit % 8);
        struct nodes_conf *conf = parse(want.data, want.len);
        want.data[bit / 8] ^= (char)(1 << bit % 8);
        if (!conf)
            continue;
        /* Only the word "checksum" itself may have become an unknown variable. */
        assert_false(conf->has_checksum);
        conf->has_checksum = true;
        struct nodes_text out = print(conf);
        expect_no_change(out.data, out.len, &want);
        assert_int_equal(out.len, want.len);
        assert_memory_equal(out.data, want.data, out.len);
        free(out.data);
        nodes_conf_free(conf);
    }
    free(want.data);
}

/* Thousands of nodes and scattered slots. */
static void test_large(void **state)
{
    enum { COUNT = NODES_CONF_NODES_MAX };
    static struct nodes_conf_node nodes[COUNT + 1];
    static uint8_t slots[COUNT][BUS_SLOTS_SIZE];
    struct nodes_text text = {0};
    for (unsigned i = 0; i <= COUNT; i++) {
        struct nodes_conf_node *n = &nodes[i];
        snprintf(n->id, sizeof(n->id), "%040u", i * 7919 % 100003);
        strcpy(n->ip, "10.77.0.1");
        n->flags = (uint16_t)(BUS_NODE_MASTER | (i == 9 ? BUS_NODE_MYSELF : 0));
        n->slots = i < COUNT ? slots[i] : NULL;
    }
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++)
        bus_slot_set(slots[slot % COUNT], slot, true);
    for (unsigned i = 0; i < COUNT; i++)
        nodes_conf_print_node(&text, &nodes[i], false);
    size_t before = text.len;
    nodes_conf_print_vars(&text, 5, 4, true);
    struct nodes_conf *conf = parse(text.data, text.len);
    assert_non_null(conf);
    struct nodes_text out = print(conf);
    assert_int_equal(out.len, text.len);
    assert_memory_equal(out.data, text.data, out.len);
    nodes_conf_free(conf);
    free(out.data);
    text.len = before;
    nodes_conf_print_node(&text, &nodes[COUNT], false);
    assert_null(parse(text.data, text.len));
    assert_string_equal(err, "line 4097: more than 4096 nodes");
    free(text.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_ours_with_checksum),
        cmocka_unit_test(test_what_stock_nodes_leave),
        cmocka_unit_test(test_nodes_refused),
        cmocka_unit_test(test_slots_refused),
        cmocka_unit_test(test_moves_refused),
        cmocka_unit_test(test_vars_refused),
        cmocka_unit_test(test_wrong_shard_refused),
        cmocka_unit_test(test_nul_refused),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_bit_flip),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
