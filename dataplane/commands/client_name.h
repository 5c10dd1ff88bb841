/* CLIENT SETNAME and HELLO … SETNAME. */
#pragma once
#include "command.h"

/* False: it has blanks or other characters that would break CLIENT LIST; the error is replied. */
bool client_name_check(struct call *c, struct slice name);
/* A checked name; empty: none. */
void client_name_set(struct session *s, struct slice name);
