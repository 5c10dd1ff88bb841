/* Asking the control thread on behalf of a client, which is parked until the answer comes by mail.
 */
#pragma once
#include "admin_mail.h"
#include "command.h"

/* words are copied. The reply is +OK, the request's text as verbatim string, or its error. */
void admin_ask(struct call *c, enum admin_kind kind, const struct slice *words,
               uint32_t word_count);
