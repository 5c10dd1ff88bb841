/* Any bytes as nodes.conf: refused with a line, or read; what was read, printed and read again,
 * prints as the same text. */
#include <stdlib.h>
#include "check.h"
#include "nodes_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nodes_text print_with(struct nodes_conf *conf, bool checksum)
{
    struct nodes_text out = {0};
    conf->has_checksum = checksum;
    nodes_conf_print(&out, conf);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[NODES_CONF_ERROR_SIZE];
    struct nodes_conf *conf = nodes_conf_parse(slice_from(data, size), err);
    CHECK(conf ? err[0] == '\0' : strncmp(err, "line ", 5) == 0);
    if (!conf)
        return 0;
    CHECK(conf->myself < conf->node_count);
    for (int checksum = 0; checksum < 2; checksum++) {
        struct nodes_text one = print_with(conf, checksum);
        struct nodes_conf *again = nodes_conf_parse(slice_from(one.data, one.len), err);
        CHECK(again);
        CHECK(again->has_checksum == checksum);
        struct nodes_text two = print_with(again, checksum);
        CHECK(one.len == two.len);
        CHECK(memcmp(one.data, two.data, one.len) == 0);
        free(one.data);
        free(two.data);
        nodes_conf_free(again);
    }
    nodes_conf_free(conf);
    return 0;
}
