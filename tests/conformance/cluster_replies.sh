#!/usr/bin/env bash
# One of our nodes and stock ones in one cluster: what they say to the same CLUSTER commands.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs TAP ports"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
# The links of the bus stay open, so there is no baseline to return to.
EXPECT_NODE_DEAD=yes exec "$here/../lib/with_lab" 1 cluster python3 "$here/cluster_replies.py"
