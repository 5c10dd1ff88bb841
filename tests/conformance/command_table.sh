#!/usr/bin/env bash
# A lab with one node and a stock redis-server: their command tables must be the same.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
WITH_REDIS=7400 exec "$here/../lib/with_lab" 1 standalone \
  python3 "$here/command_table.py" 10.77.0.1 7400
