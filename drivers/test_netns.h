/* For tests against the kernel: a network namespace of the test's own, and raw frames on its
 * interfaces. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_SKIPPED 77

/* Moves the process into a fresh network namespace; exits with TEST_SKIPPED when it may not. */
void test_netns_enter(void);
/* Runs a shell command that must succeed. */
void test_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A packet socket on the interface; frames that the interface itself sends are not seen. */
int test_raw_open(const char *interface);
void test_raw_send(int fd, const void *frame, size_t len);
/* Waits for a frame of EtherType 0x88b5 (for experiments) or IP with TCP; its length, 0: none
 * within timeout_ms. */
size_t test_raw_receive(int fd, void *buf, size_t size, int timeout_ms);
void test_mac_of(const char *interface, uint8_t mac[6]);
