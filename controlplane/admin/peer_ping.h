/* DEBUG PEER: one PING to another node, through the NIC and both TCP stacks. */
#pragma once
#include "control_serve.h"

#define PEER_PING_TIMEOUT_US 2000000 /* for the handshake, and again for the answer */

/* words: address, port. Answers the request later, or says at once what is wrong with it. */
enum admin_outcome peer_ping_serve(struct control_server *server, struct admin_request *request);
