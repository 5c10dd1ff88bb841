#!/usr/bin/env bash
# What scripts/lab promises: two nodes on one bridge, start, stop, kill, pause, resume; a flood while paused; node to
# node traffic.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs two nodes, and so TAP ports"; exit 77; }
root=$(cd "$(dirname "$0")/../.." && pwd)
export SLOTWIRE_LAB=test-nodes-$$
lab() { "$root/scripts/lab" "$@"; }
trap 'code=$?; lab down; exit $code' EXIT
cli() { lab exec timeout 10 redis-cli -h "10.77.0.$1" "${@:2}"; }
expect() { # WANTED CMD...
  local wanted=$1 got; shift
  got=$("$@") || true
  [ "$got" = "$wanted" ] || { echo "FAIL: $*: wanted '$wanted', got '$got'"; exit 1; }
  echo "ok   $* -> $got"
}

lab up 2 standalone
expect OK cli 1 set k v1
expect OK cli 2 set k v2
expect v1 cli 1 get k
expect v2 cli 2 get k

echo "the kernel pings both nodes, IPv4 and IPv6"
lab exec ping -c 3 -i 0.2 -W 2 -q 10.77.0.1 | grep -q ' 0% packet loss'
lab exec ping -c 3 -i 0.2 -W 2 -q 10.77.0.2 | grep -q ' 0% packet loss'
lab exec ping -6 -c 3 -i 0.2 -W 2 -q fd77::1 | grep -q ' 0% packet loss'
expect PONG lab exec timeout 10 redis-cli -h fd77::2 ping

echo "paused, flooded, resumed (no signal kills a node whose queue ran over)"
lab node 1 pause
lab exec timeout 3 ping -f -c 20000 -W 1 -q 10.77.0.1 > /dev/null 2>&1 || true
lab node 1 resume
expect v1 cli 1 get k

echo "killed and started again: empty, same address; the neighbour was never gone"
lab node 1 kill
expect v2 cli 2 get k
lab node 1 start
expect "" cli 1 get k
expect OK cli 1 set k again

echo "stopped in order: its clients see the end, not silence"
lab node 2 stop
grep -qi 'bye' "/tmp/slotwire-$SLOTWIRE_LAB/node-2/slotwire.log" || { echo "FAIL: no orderly end in the log"; exit 1; }
expect again cli 1 get k
