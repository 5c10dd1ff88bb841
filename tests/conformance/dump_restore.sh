#!/usr/bin/env bash
# A lab with one node and a stock redis-server, and values that go from one to the other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
factor=1
[ -z "${SLOTWIRE_LONG:-}" ] || factor=20
WITH_REDIS=7400 exec "$here/../lib/with_lab" 1 standalone \
  python3 "$here/dump_restore.py" 10.77.0.1 7400 --values $((3000 * factor)) --damages $((20000 * factor))
