#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "capture_serve.h"
#include "check.h"
#include "clock.h"

/* 2026-11-22 03:04:05 UTC */
#define SOME_TIME_S 1795316645
#define FILE_ERROR                                                                              \
    "ERR FILE must be a plain name of letters, digits, '.', '_' and '-' that ends in .pcapng, " \
    "at most 127 bytes: it is made in the working directory"

/* ---- words ---- */

static bool parse(const char *text, struct capture_spec *spec, char *error)
{
    struct slice words[32];
    uint32_t count = 0;
    char *copy = strdup(text), *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        words[count++] = slice_str(word);
    error[0] = '\0';
    bool parsed = capture_words_parse(words, text[0] ? count : 0, SOME_TIME_S, spec, error);
    free(copy);
    return parsed;
}

static void test_words(void **state)
{
    struct capture_spec spec;
    char error[ADMIN_ERROR_SIZE];
    assert_true(parse("", &spec, error));
    assert_string_equal(spec.file, "capture-20261122-030405.pcapng");
    assert_int_equal(spec.snaplen, 0);
    assert_int_equal(spec.packets_max, CAPTURE_PACKETS_DEFAULT);
    assert_int_equal(spec.bytes_max, CAPTURE_BYTES_DEFAULT);
    assert_int_equal(spec.seconds_max, CAPTURE_SECONDS_DEFAULT);
    assert_int_equal(spec.queue_frames, CAPTURE_QUEUE_DEFAULT);
    assert_true(parse("file a-B_1.x.pcapng snaplen 64 Packets 5 bytes 5mb SECONDS 604800 queue 64",
                      &spec, error));
    assert_string_equal(spec.file, "a-B_1.x.pcapng");
    assert_int_equal(spec.snaplen, 64);
    assert_int_equal(spec.packets_max, 5);
    assert_int_equal(spec.bytes_max, 5 << 20);
    assert_int_equal(spec.seconds_max, 604800);
    assert_int_equal(spec.queue_frames, 64);
}

static void test_words_that_are_wrong(void **state)
{
    static const struct {
        const char *words, *error;
    } rows[] = {
        {"FILE", "ERR syntax error"},
        {"FILES a.pcapng", "ERR syntax error"},
        {"FILE a.pcapng PACKETS", "ERR syntax error"},
        {"FILE a.pcap", FILE_ERROR},
        {"FILE .pcapng", FILE_ERROR},
        {"FILE .a.pcapng", FILE_ERROR},
        {"FILE -a.pcapng", FILE_ERROR},
        {"FILE a/b.pcapng", FILE_ERROR},
        {"FILE ../b.pcapng", FILE_ERROR},
        {"FILE a\nb.pcapng", FILE_ERROR},
        {"FILE \xc3\xa4.pcapng", FILE_ERROR},
        {"FILE ", FILE_ERROR},
        {"SNAPLEN 63", "ERR SNAPLEN must be between 64 and 65000"},
        {"SNAPLEN 65001", "ERR SNAPLEN must be between 64 and 65000"},
        {"SNAPLEN x", "ERR SNAPLEN must be between 64 and 65000"},
        {"PACKETS 0", "ERR PACKETS must be between 1 and 9223372036854775807"},
        {"PACKETS -1", "ERR PACKETS must be between 1 and 9223372036854775807"},
        {"BYTES 4095", "ERR BYTES must be between 4096 and 9223372036854775807"},
        {"SECONDS 604801", "ERR SECONDS must be between 1 and 604800"},
        {"QUEUE 65537", "ERR QUEUE must be between 64 and 65536"},
    };
    struct capture_spec spec;
    char error[ADMIN_ERROR_SIZE];
    for (size_t i = 0; i < count_of(rows); i++) {
        assert_false(parse(rows[i].words, &spec, error));
        assert_string_equal(error, rows[i].error);
    }
    char zero[] = "a\0b.pcapng";
    struct slice words[2] = {slice_str("FILE"), slice_from(zero, sizeof(zero) - 1)};
    assert_false(capture_words_parse(words, 2, SOME_TIME_S, &spec, error));
    char name[5 + CAPTURE_FILE_SIZE + 1] = "FILE ";
    memset(name + 5, 'a', CAPTURE_FILE_SIZE);
    strcpy(name + 5 + CAPTURE_FILE_SIZE - 7, ".pcapng");
    assert_false(parse(name, &spec, error));
    strcpy(name + 5 + CAPTURE_FILE_SIZE - 8, ".pcapng");
    assert_true(parse(name, &spec, error));
}

/* ---- the desk, over a capture that the test plays ---- */

static struct capture_status fake;
static bool fake_refuses;
static unsigned fake_stops, answers;
static char answered[1024];
static struct capture_desk desk;
static struct mailbox lcore;

static bool fake_start(void *arg, const struct capture_spec *spec, char *err)
{
    assert_ptr_equal(arg, &fake);
    if (fake_refuses) {
        strcpy(err, "a capture runs already");
        return false;
    }
    fake = (struct capture_status){.state = CAPTURE_STARTING, .spec = *spec};
    return true;
}

static void fake_stop(void *arg)
{
    fake_stops++;
}

static void fake_status(void *arg, struct capture_status *status)
{
    *status = fake;
}

static const struct capture_ops fake_ops = {fake_start, fake_stop, fake_status};

static void reply(struct mail *mail, void *receiver)
{
    struct admin_request *request = container_from(mail, struct admin_request, mail);
    snprintf(answered, sizeof(answered), "%s%.*s", request->error, (int)request->text_len,
             request->text ? request->text : "");
    answers++;
    admin_request_free(request);
}

static void ask(enum admin_kind kind, const char *name, const char *value)
{
    struct slice words[2] = {slice_str(name), slice_str(value)};
    struct admin_request *request = admin_request_new(kind, words, name[0] ? 2 : 0);
    request->reply_to = &lcore;
    request->reply = reply;
    if (capture_serve(&desk, request) == ADMIN_DONE)
        admin_request_answer(request);
    mailbox_run(&lcore, NULL, 16);
}

static void tick(void)
{
    capture_desk_tick(&desk);
    mailbox_run(&lcore, NULL, 16);
}

static int set_up(void **state)
{
    fake = (struct capture_status){.state = CAPTURE_NONE};
    fake_refuses = false;
    fake_stops = answers = 0;
    desk = (struct capture_desk){.ops = &fake_ops, .arg = &fake};
    assert_true(mailbox_init(&lcore));
    return 0;
}

static int tear_down(void **state)
{
    capture_desk_fini(&desk);
    mailbox_fini(&lcore);
    return 0;
}

static void test_from_start_to_stop(void **state)
{
    ask(ADMIN_CAPTURE_STATUS, "", "");
    assert_string_equal(answered, "capture_state:none\r\n");
    ask(ADMIN_CAPTURE_STOP, "", "");
    assert_string_equal(answered, "ERR no capture is running");
    ask(ADMIN_CAPTURE_START, "FILE", "a.pcapng");
    tick();
    assert_int_equal(answers, 2);
    fake.state = CAPTURE_RUNNING;
    strcpy(fake.path, "/d/a.pcapng");
    tick();
    assert_int_equal(answers, 3);
    assert_string_equal(answered, "/d/a.pcapng");
    fake_refuses = true;
    ask(ADMIN_CAPTURE_START, "FILE", "b.pcapng");
    assert_string_equal(answered, "ERR a capture runs already");
    ask(ADMIN_CAPTURE_STOP, "", "");
    ask(ADMIN_CAPTURE_STOP, "", "");
    assert_int_equal(fake_stops, 2);
    fake.state = CAPTURE_STOPPING;
    tick();
    assert_int_equal(answers, 4);
    fake.state = CAPTURE_ENDED;
    fake.end = CAPTURE_END_STOPPED;
    fake.packets = 12;
    fake.bytes = 3456;
    fake.dropped = 1;
    fake.truncated = 2;
    fake.duration_us = 1500000;
    fake.spec.snaplen = 1522;
    tick();
    assert_int_equal(answers, 6);
    assert_string_equal(answered,
                        "capture_state:ended\r\ncapture_file:/d/a.pcapng\r\n"
                        "capture_end:stopped\r\ncapture_error:\r\ncapture_packets:12\r\n"
                        "capture_bytes:3456\r\ncapture_dropped:1\r\ncapture_truncated:2\r\n"
                        "capture_seconds:1.500\r\ncapture_snaplen:1522\r\n"
                        "capture_packets_max:1000000\r\ncapture_bytes_max:104857600\r\n"
                        "capture_seconds_max:60\r\ncapture_queue:1024\r\n");
    ask(ADMIN_CAPTURE_STOP, "", "");
    assert_string_equal(answered, "ERR no capture is running");
}

static void test_a_start_that_fails(void **state)
{
    ask(ADMIN_CAPTURE_START, "FILE", "a/b");
    assert_string_equal(answered, FILE_ERROR);
    ask(ADMIN_CAPTURE_START, "FILE", "a.pcapng");
    ask(ADMIN_CAPTURE_STOP, "", "");
    fake.state = CAPTURE_FAILED;
    strcpy(fake.error, "can't create 'a.pcapng': File exists");
    tick();
    /* The last come is answered first. */
    assert_int_equal(answers, 3);
    assert_string_equal(answered, "ERR can't create 'a.pcapng': File exists");
}

/* Between two ticks. */
static void test_a_capture_that_ends_at_once(void **state)
{
    ask(ADMIN_CAPTURE_START, "FILE", "a.pcapng");
    fake.state = CAPTURE_ENDED;
    fake.end = CAPTURE_END_PACKETS;
    strcpy(fake.path, "/d/a.pcapng");
    tick();
    assert_string_equal(answered, "/d/a.pcapng");
    ask(ADMIN_CAPTURE_STATUS, "", "");
    assert_non_null(strstr(answered, "capture_end:packets\r\n"));
}

static void test_the_node_ends_while_clients_wait(void **state)
{
    ask(ADMIN_CAPTURE_START, "FILE", "a.pcapng");
    ask(ADMIN_CAPTURE_STOP, "", "");
    assert_int_equal(answers, 0);
}

static void test_a_node_without_a_port(void **state)
{
    desk.ops = NULL;
    ask(ADMIN_CAPTURE_START, "", "");
    assert_string_equal(answered, "ERR this node cannot capture");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_words),
        TEST(test_words_that_are_wrong),
        TEST(test_from_start_to_stop),
        TEST(test_a_start_that_fails),
        TEST(test_a_capture_that_ends_at_once),
        TEST(test_the_node_ends_while_clients_wait),
        TEST(test_a_node_without_a_port),
    };
    clock_init();
    return cmocka_run_group_tests_name("capture_serve", tests, NULL, NULL);
}
