#include "dispose.h"
#include "ks_internal.h"

#define AT_ONCE_MAX 64

void ks_dispose(struct ks *ks, enum obj_type type, enum obj_encoding enc, void *object)
{
    const struct object_ops *ops = ks->shared->ops[type];
    struct entry_spec spec = {
        .type = type, .enc_stored = enc, .expiry_ms = EXPIRY_NONE, .pointer = object};
    struct entry *e = ops->count(object, enc) > AT_ONCE_MAX ? entry_new(&spec) : NULL;
    if (e) {
        retire_item(ks, RETIRE_ENTRY_VALUE, (uint64_t)(uintptr_t)e, 0, 0);
        return;
    }
    while (!ops->free_some(object, enc, UINT32_MAX))
        continue;
}
