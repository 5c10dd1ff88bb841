#!/usr/bin/env bash
# run.sh COMMANDS PROTOCOL: a lab with one node and a stock redis-server, and the differential test between them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commands=$1 protocol=$2
[ -z "${SLOTWIRE_LONG:-}" ] || commands=$((commands * 10))
WITH_REDIS=7400 exec "$here/../lib/with_lab" 1 standalone python3 "$here/differential.py" 10.77.0.1 7400 --commands "$commands" --protocol "$protocol"
