#!/usr/bin/env bash
# Clients that write without a pause while slots go round between our nodes and a stock one.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs several nodes, and so TAP ports"; exit 77; }
. "$(dirname "$0")/packages.sh"
export TEST_LAB=${TEST_LAB:-test-writes-$$}
# Nobody is to be suspected on a busy machine: then a PUBLISH could be lost with a link.
export SLOTWIRE_EXTRA="cluster-node-timeout 15000;cluster-allow-replica-migration no"
# The links of the bus stay open, so there is no baseline to return to.
EXPECT_NODE_DEAD=yes exec "$here/../lib/with_lab" 3 cluster python3 "$here/cluster_writes.py"
