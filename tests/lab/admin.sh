#!/usr/bin/env bash
# The control thread of a running node: unix socket, CONFIG SET and REWRITE, an orderly end, and what a killed node
# leaves behind.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export SLOTWIRE_LAB=test-admin-$$
dir=/tmp/slotwire-$SLOTWIRE_LAB/node-1
sock=$dir/s
export SLOTWIRE_EXTRA="unixsocket $sock;unixsocketperm 700"
lab() { "$root/scripts/lab" "$@"; }
trap 'code=$?; lab down; exit $code' EXIT
fail() { echo "FAIL: $*"; exit 1; }
local_cli() { timeout 10 redis-cli -s "$sock" "$@"; }
cli() { lab exec timeout 10 redis-cli -h 10.77.0.1 "$@"; }
expect() { # WANTED CMD...
  local wanted=$1 got; shift
  got=$("$@") || true
  [ "$got" = "$wanted" ] || fail "$*: wanted '$wanted', got '$got'"
  echo "ok   $* -> $got"
}

lab up 1 standalone
expect 700 stat -c %a "$sock"
expect OK local_cli set k v
expect v cli get k

echo "a large value both ways, and more pipelined requests than a buffer holds"
head -c 20000000 /dev/urandom > "$dir/big"
expect OK local_cli -x set big < "$dir/big"
local_cli --raw get big | head -c 20000000 | cmp - "$dir/big" || fail "other bytes came back"
pings=${SLOTWIRE_PINGS:-50000}
expect "$pings" bash -c "yes PING | head -$pings | timeout 60 redis-cli -s $sock | grep -c PONG"

echo "many clients at once, on the socket and on the network"
timeout 60 redis-benchmark -s "$sock" -q -c 200 -n 20000 -t set,get > /dev/null || fail "redis-benchmark -s"
expect PONG cli ping

echo "CONFIG SET is all or nothing, REWRITE lasts"
expect OK local_cli config set timeout 77 maxmemory 1gb
cli config set timeout 5 maxmemory x | grep -q "argument must be a memory value" || fail "a bad value was taken"
expect "timeout 77" bash -c "redis-cli -s $sock config get timeout | xargs"
expect OK cli config rewrite
grep -q '^include .*standalone.conf' "$dir/slotwire.conf" || fail "the include has gone"
lab node 1 stop
[ ! -e "$sock" ] || fail "the socket file is still there"
[ ! -e "$dir/slotwire.pid" ] || fail "the pid file is still there"
lab node 1 start
expect "timeout 77" bash -c "redis-cli -s $sock config get timeout | xargs"

echo "a killed node's socket is replaced"
lab node 1 kill
[ -e "$sock" ] || fail "nothing left behind: nothing tested"
lab node 1 start
expect PONG local_cli ping

echo "SHUTDOWN ends connections on both sides"
timeout 20 redis-cli -s "$sock" subscribe c > /dev/null 2>&1 &
subscriber=$!
lab exec timeout 20 redis-cli -h 10.77.0.1 subscribe c > /dev/null 2>&1 &
other=$!
for _ in $(seq 100); do
  [ "$(local_cli pubsub numsub c | xargs)" = "c 2" ] && break
  sleep 0.05
done
local_cli shutdown nosave || true
wait $subscriber && code=0 || code=$?
[ $code -ne 124 ] || fail "the subscriber on the socket was not told"
wait $other && code=0 || code=$?
[ $code -ne 124 ] || fail "the subscriber on the network was not told"
grep -q "User requested shutdown" "$dir/slotwire.log" || fail "no word in the log"
[ ! -e "$sock" ] || fail "the socket file is still there"
