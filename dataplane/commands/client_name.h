/* CLIENT SETNAME and HELLO … SETNAME. */
#pragma once
#include "command.h"

/* Empty: no name. False: it has blanks or other characters that would break CLIENT LIST; the error
 * is replied. */
bool client_name_set(struct call *c, struct slice name);
