#!/usr/bin/env bash
# run.sh HIREDIS_CLIENT: stock tools and client libraries against one node with two lcores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export HIREDIS_CLIENT=$1
export NODE_MODULES=${SLOTWIRE_BUILD:-$here/../../build}/interop
mkdir -p "$NODE_MODULES"
cp "$here"/package.json "$here"/package-lock.json "$here"/*.mjs "$NODE_MODULES"
(cd "$NODE_MODULES" && [ -d node_modules/ioredis ] || npm ci --no-audit --no-fund --silent --prefix "$NODE_MODULES")
SLOTWIRE_EXTRA="lcores 0-1;unixsocket /tmp/slotwire-interop-$$.sock" exec "$here/../lib/with_lab" 1 standalone \
  bash "$here/clients.sh" "/tmp/slotwire-interop-$$.sock"
