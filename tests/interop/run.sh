#!/usr/bin/env bash
# run.sh HIREDIS_CLIENT: stock tools and client libraries against one node with two lcores.
set -euo pipefail
. "$(dirname "$0")/packages.sh"
export HIREDIS_CLIENT=$1
export TEST_LAB=test-interop-$$
socket=/tmp/slotwire-$TEST_LAB/s
last_cpu=$(($(nproc) > 1 ? 1 : 0))
SLOTWIRE_EXTRA="lcores 0-$last_cpu;unixsocket $socket" exec "$here/../lib/with_lab" 1 standalone \
  bash "$here/clients.sh" "$socket"
