#include "test_folder.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"

void test_folder_make(struct test_folder *folder)
{
    strcpy(folder->path, "/tmp/slotwire-test-XXXXXX");
    CHECK(mkdtemp(folder->path));
}

void test_folder_remove(struct test_folder *folder)
{
    DIR *dir = opendir(folder->path);
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            CHECK(unlink(test_path(folder, entry->d_name)) == 0);
    }
    closedir(dir);
    CHECK(rmdir(folder->path) == 0);
}

const char *test_path(const struct test_folder *folder, const char *name)
{
    static _Thread_local char paths[4][TEST_PATH_SIZE];
    static _Thread_local int next;
    char *path = paths[next++ % 4];
    CHECK(snprintf(path, TEST_PATH_SIZE, "%s/%s", folder->path, name) < TEST_PATH_SIZE);
    return path;
}

void test_file_write(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(path, "w");
    CHECK(file);
    CHECK(fwrite(data, 1, len, file) == len);
    CHECK(fclose(file) == 0);
}

char *test_file_read(const char *path)
{
    char *text = NULL;
    size_t len;
    FILE *file = fopen(path, "r");
    CHECK(file);
    FILE *copy = open_memstream(&text, &len);
    CHECK(copy);
    for (int c; (c = getc(file)) != EOF;)
        putc(c, copy);
    fclose(file);
    CHECK(fclose(copy) == 0);
    return text;
}
