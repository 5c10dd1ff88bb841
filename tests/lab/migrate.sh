#!/usr/bin/env bash
# MIGRATE between two nodes, to a stock redis-server and back.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs several nodes, and so TAP ports"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../lib/with_lab" 2 standalone python3 "$here/migrate.py"
