/* Objects that are not, or no longer, in the keyspace: freed like those that are deleted, in
 * pieces. The lcore of the handle; nobody else may look at the object any more. */
#pragma once
#include "keyspace.h"

void ks_dispose(struct ks *ks, enum obj_type type, enum obj_encoding enc, void *object);
