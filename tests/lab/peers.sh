#!/usr/bin/env bash
# Node to node over the lab's bridge: two nodes, one of them with two lcores, connect to each other and ping; peers
# that refuse, do not exist, hang or die are told apart; nothing stays open.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs two nodes, and so TAP ports"; exit 77; }
root=$(cd "$(dirname "$0")/../.." && pwd)
export SLOTWIRE_LAB=test-peers-$$
lab() { "$root/scripts/lab" "$@"; }
redis=
trap 'code=$?; [ -z "$redis" ] || kill $redis 2> /dev/null; lab down; exit $code' EXIT
fail() { echo "FAIL: $*"; exit 1; }
cli() { lab exec timeout 10 redis-cli -h "10.77.0.$1" "${@:2}"; }
info() { cli "$1" info slotwire | tr -d '\r' | sed -n "s/^$2://p" | head -1; }
ping_peer() { # NODE ADDRESS PORT WANTED (a pattern)
  local got
  got=$(cli "$1" debug peer "$2" "$3") || true
  [[ $got == $4 ]] || fail "node $1, debug peer $2 $3: wanted '$4', got '$got'"
  echo "ok   node $1: $got"
}
# redis-cli itself is one connection. What was open towards a node that died ends when a retransmission meets the
# new one's reset, or after the orphan timeout of 60 s.
baseline() { # NODE
  local open
  for _ in $(seq 700); do
    open=$(info "$1" tcp_conns_open)
    [ "$open" = 1 ] && break
    sleep 0.1
  done
  [ "$open" = 1 ] || fail "node $1: $open connections are open"
  echo "ok   node $1: back at its baseline"
}

lab up 2 standalone
echo "node 2 again, with two lcores"
lab node 2 stop
conf=/tmp/slotwire-$SLOTWIRE_LAB/node-2/slotwire.conf
sed -i 's/^lcores .*/lcores 0-1/' "$conf"
lab node 2 start
[ "$(info 2 lcores)" = 2 ] || fail "node 2 has not two lcores"

for _ in 1 2 3 4; do
  ping_peer 1 10.77.0.2 6379 "PONG from 10.77.0.2:6379 in * us"
  ping_peer 2 10.77.0.1 6379 "PONG from 10.77.0.1:6379 in * us"
done
ping_peer 1 fd77::2 6379 "PONG from \[fd77::2\]:6379 in * us"
ping_peer 2 fd77::1 6379 "PONG from \[fd77::1\]:6379 in * us"

echo "2000 times, 20 at once, both ways"
for node in 1 2; do
  lab exec timeout 60 redis-benchmark -h 10.77.0.$node -q -c 20 -n 2000 debug peer 10.77.0.$((3 - node)) 6379 \
    > /dev/null || fail "redis-benchmark"
  [ -z "$(cli $node info errorstats | grep errorstat)" ] || fail "node $node: $(cli $node info errorstats)"
done
[ "$(info 1 tcp_connects)" -ge 2005 ] || fail "node 1 opened only $(info 1 tcp_connects) connections"

echo "a stock server is no different"
lab exec redis-server --port 6400 --save "" --bind 10.77.0.254 --protected-mode no > /dev/null &
redis=$!
for _ in $(seq 100); do
  [ "$(lab exec redis-cli -h 10.77.0.254 -p 6400 ping 2> /dev/null)" = PONG ] && break
  sleep 0.05
done
ping_peer 2 10.77.0.254 6400 "PONG from 10.77.0.254:6400 in * us"
lab exec redis-cli -h 10.77.0.254 -p 6400 shutdown nosave || true
wait $redis || true
redis=

echo "refused, unreachable, nonsense"
ping_peer 1 10.77.0.2 6399 "ERR peer 10.77.0.2:6399: connection refused*"
ping_peer 2 fd77::1 6399 "ERR peer \[fd77::1\]:6399: connection refused*"
ping_peer 1 10.77.0.99 6379 "ERR peer 10.77.0.99:6379: unreachable*"
ping_peer 1 fd77::99 6379 "ERR peer \[fd77::99\]:6379: unreachable*"
ping_peer 1 10.77.0.2 0 "ERR peer needs an address and a port*"
ping_peer 1 nowhere 6379 "ERR peer needs an address and a port*"

echo "paused: timed out, and the client of the paused question is not lost"
lab node 2 pause
ping_peer 1 10.77.0.2 6379 "ERR peer 10.77.0.2:6379: timed out*"
lab node 2 resume
ping_peer 1 10.77.0.2 6379 "PONG from 10.77.0.2:6379 in * us"

echo "a client that leaves while its question is under way"
lab exec timeout 0.3 redis-cli -h 10.77.0.1 debug peer 10.77.0.98 6379 > /dev/null && fail "answered" || true

echo "killed while questions are under way, then started again"
lab exec timeout 20 redis-benchmark -h 10.77.0.1 -q -c 20 -n 100000 debug peer 10.77.0.2 6379 > /dev/null 2>&1 &
load=$!
sleep 0.5
lab node 2 kill
kill $load 2> /dev/null || true
wait $load 2> /dev/null || true
ping_peer 1 10.77.0.2 6379 "ERR peer 10.77.0.2:6379: @(timed out|unreachable)*"
baseline 1
lab node 2 start
ping_peer 1 10.77.0.2 6379 "PONG from 10.77.0.2:6379 in * us"
ping_peer 2 10.77.0.1 6379 "PONG from 10.77.0.1:6379 in * us"
baseline 1
baseline 2

echo "an orderly end while a question is under way"
lab exec timeout 5 redis-cli -h 10.77.0.1 debug peer 10.77.0.98 6379 > /dev/null 2>&1 &
sleep 0.2
lab node 1 stop
grep -qi 'bye' "/tmp/slotwire-$SLOTWIRE_LAB/node-1/slotwire.log" || fail "no orderly end in the log"
wait
