#!/usr/bin/env bash
# 256 MiB each way, byte-exact, at 0, 1 and 5 % loss with reordering and duplication, both directions.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
megabytes=${SLOTWIRE_BYTES_MB:-256}
for fault in "" "loss=1%,reorder=5%,dup=1%,seed=1" "loss=5%,reorder=25%,dup=1%,seed=2"; do
  echo "nic-fault '$fault'"
  mb=$megabytes
  SLOTWIRE_EXTRA="maxmemory 2gb${fault:+;nic-fault $fault}" "$here/../lib/with_lab" 1 standalone python3 "$here/bytes.py" 10.77.0.1 "$mb"
done
