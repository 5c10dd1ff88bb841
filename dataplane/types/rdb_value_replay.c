/* Runs the fuzz target on files, so that its seeds and findings are a test of every build. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    uint8_t *data = malloc(INPUT_MAX);
    CHECK(data != NULL && argc > 1);
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        CHECK(file != NULL);
        size_t len = fread(data, 1, INPUT_MAX, file);
        fclose(file);
        CHECK(len > 0);
        LLVMFuzzerTestOneInput(data, len);
        /* Cut anywhere it must do no harm either. */
        for (size_t cut = 0; cut < len; cut++)
            LLVMFuzzerTestOneInput(data, cut);
    }
    free(data);
    return 0;
}
