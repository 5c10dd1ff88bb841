#!/usr/bin/env bash
# run.sh HIREDIS_CLIENT: stock tools and client libraries against one node with two lcores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export HIREDIS_CLIENT=$1
export NODE_MODULES=${SLOTWIRE_BUILD:-$here/../../build}/interop
mkdir -p "$NODE_MODULES"
cp "$here"/package.json "$here"/package-lock.json "$here"/*.mjs "$NODE_MODULES"
# Once per lock file. The cache is here too: the home folder may be read-only.
if ! cmp -s "$here/package-lock.json" "$NODE_MODULES/installed.json"; then
  npm ci --no-audit --no-fund --loglevel=error --update-notifier=false --cache "$NODE_MODULES/cache" \
    --prefix "$NODE_MODULES" < /dev/null
  cp "$here/package-lock.json" "$NODE_MODULES/installed.json"
fi
export TEST_LAB=test-interop-$$
socket=/tmp/slotwire-$TEST_LAB/s
last_cpu=$(($(nproc) > 1 ? 1 : 0))
SLOTWIRE_EXTRA="lcores 0-$last_cpu;unixsocket $socket" exec "$here/../lib/with_lab" 1 standalone \
  bash "$here/clients.sh" "$socket"
