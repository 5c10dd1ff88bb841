/* A folder of its own for a test that works on files. */
#pragma once
#include <stddef.h>

#define TEST_PATH_SIZE 256

struct test_folder {
    char path[64];
};

void test_folder_make(struct test_folder *folder);
/* And everything in it; it has no folders in it. */
void test_folder_remove(struct test_folder *folder);
/* "folder/name"; the text lives until the same thread's next call but three. */
const char *test_path(const struct test_folder *folder, const char *name);
void test_file_write(const char *path, const char *data, size_t len);
/* The whole file, NUL-terminated; the caller frees it. */
char *test_file_read(const char *path);
