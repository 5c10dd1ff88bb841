#!/usr/bin/env bash
# redis-cli --cluster against four of our nodes and two stock ones: every tool, every direction, broken migrations.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs several nodes, and so TAP ports"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
# The links of the bus stay open, so there is no baseline to return to.
export SLOTWIRE_EXTRA="cluster-allow-replica-migration no"
EXPECT_NODE_DEAD=yes exec "$here/../lib/with_lab" 4 cluster python3 "$here/cluster_tools.py"
