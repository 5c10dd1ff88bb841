#!/usr/bin/env bash
# Three nodes become a cluster by redis-cli --cluster create and take two stock nodes in: slots, redirections, PUBLISH
# to all, a node that dies and comes back, an orderly restart, a damaged nodes.conf.
set -euo pipefail
[ -z "${SLOTWIRE_NIC:-}" ] || { echo "needs several nodes, and so TAP ports"; exit 77; }
root=$(cd "$(dirname "$0")/../.." && pwd)
export SLOTWIRE_LAB=test-cluster-$$
lab() { "$root/scripts/lab" "$@"; }
work=$(mktemp -d)
stock=()
finish() {
  code=$?
  for pid in "${stock[@]}"; do kill "$pid" 2> /dev/null || true; done
  lab down
  rm -rf "$work"
  exit $code
}
trap finish EXIT
fail() { echo "FAIL: $*"; exit 1; }
cli() { lab exec timeout 10 redis-cli -h "10.77.0.$1" "${@:2}"; }
stock_cli() { lab exec timeout 10 redis-cli -h 10.77.0.254 -p "$1" "${@:2}"; }
# within SECONDS WHAT COMMAND...: until it succeeds.
within() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "$what"
    sleep 0.2
  done
  echo "ok   $what"
}
is_ok() { [[ $(cli "$1" cluster info) == cluster_state:ok* ]]; }
is_down() { [[ $(cli "$1" cluster info) == cluster_state:fail* ]]; }
all_know() { # NODES WORDS...: every node's line of 10.77.0.3 has the words
  local n line
  for n in 1 2; do
    line=$(cli $n cluster nodes | grep " 10.77.0.3:")
    [[ $line == $1 ]] || return 1
  done
  line=$(stock_cli 7001 cluster nodes | grep " 10.77.0.3:")
  [[ $line == $1 ]]
}
is_clean() { lab exec timeout 30 redis-cli --cluster check 10.77.0.1:6379 > "$work/check" && grep -q "All nodes agree" "$work/check"; }
stock_answers() { [ "$(stock_cli "$1" ping 2> /dev/null)" = PONG ]; }
known_by_all() { # HOW MANY
  local n
  for n in 1 2 3; do [[ $(cli $n cluster info) == *cluster_known_nodes:$1* ]] || return 1; done
  for n in 7001 7002; do [[ $(stock_cli $n cluster info) == *cluster_known_nodes:$1* ]] || return 1; done
}

lab up 3 cluster
lab exec timeout 60 redis-cli --cluster create 10.77.0.1:6379 10.77.0.2:6379 10.77.0.3:6379 --cluster-yes > "$work/create" ||
  { cat "$work/create"; fail "redis-cli --cluster create"; }
grep -q "All 16384 slots covered" "$work/create" || fail "create did not cover all slots"
for n in 1 2 3; do within 10 "node $n says that the cluster is ok" is_ok $n; done

echo "keys go to their nodes, clients follow"
for i in $(seq 60); do [ "$(cli 1 -c set "key$i" "value$i")" = OK ] || fail "SET key$i"; done
for i in $(seq 60); do [ "$(cli 3 -c get "key$i")" = "value$i" ] || fail "GET key$i"; done
total=0
for n in 1 2 3; do total=$((total + $(cli $n dbsize))); done
[ $total = 60 ] || fail "$total keys instead of 60"
[[ $(cli 1 get key2) == "MOVED 4998 10.77.0.1:6379" || $(cli 1 cluster keyslot key2) -le 5460 ]] || fail "no MOVED"
[[ $(cli 1 mset a 1 b 2) == "CROSSSLOT "* ]] || fail "no CROSSSLOT"

echo "two stock nodes join"
for port in 7001 7002; do
  mkdir "$work/$port"
  lab exec redis-server --port $port --bind 10.77.0.254 --protected-mode no --cluster-enabled yes \
    --cluster-node-timeout 5000 --dir "$work/$port" --save "" > "$work/$port/log" &
  stock+=($!)
done
for port in 7001 7002; do within 10 "stock node $port answers" stock_answers $port; done
for port in 7001 7002; do
  lab exec timeout 30 redis-cli --cluster add-node 10.77.0.254:$port 10.77.0.1:6379 > "$work/add" || { cat "$work/add"; fail add-node; }
  within 15 "--cluster check is clean" is_clean
done
within 10 "all five know each other" known_by_all 5
served_by_stock() { [ "$(stock_cli 7001 -c get key7 2> /dev/null)" = value7 ]; }
within 10 "a stock node sends clients to the right node" served_by_stock

echo "PUBLISH reaches the clients of all nodes"
for at in "10.77.0.2 6379" "10.77.0.254 7001"; do
  set -- $at
  lab exec timeout 8 redis-cli -h "$1" -p "$2" subscribe news > "$work/sub-$1" &
done
subscribed() { grep -q subscribe "$work/sub-10.77.0.2" && grep -q subscribe "$work/sub-10.77.0.254"; }
within 5 "two subscribers" subscribed
cli 3 publish news from-ours > /dev/null
stock_cli 7002 publish news from-stock > /dev/null
heard() { for f in "$work"/sub-*; do grep -q from-ours "$f" && grep -q from-stock "$f" || return 1; done; }
within 5 "both heard both" heard

echo "a node dies: found out by all, and back again"
id=$(cli 3 cluster myid)
lab node 3 kill
within 20 "nodes, stock ones too, call it failed" all_know "*,fail *"
within 10 "without its slots the cluster is down" is_down 1
[[ $(cli 1 get key1) == "CLUSTERDOWN The cluster is down" || $(cli 1 get key2) == "CLUSTERDOWN The cluster is down" ]] ||
  fail "no CLUSTERDOWN"
lab node 3 start
within 30 "it is back" all_know "*master - *connected*"
[ "$(cli 3 cluster myid)" = "$id" ] || fail "it came back with another id"
for n in 1 2 3; do within 30 "node $n says that the cluster is ok" is_ok $n; done

echo "an orderly restart; a damaged nodes.conf"
lab node 2 stop
lab node 2 start
within 30 "node 2 is back" is_ok 2
lab node 2 stop
conf=/tmp/slotwire-$SLOTWIRE_LAB/node-2/nodes.conf
sed -i 's/ 5461-/ 5462-/' "$conf"
cp "$conf" "$work/damaged"
! lab node 2 start > "$work/start" 2>&1 || fail "a damaged nodes.conf was taken"
grep -q "is damaged" "$work/start" || { cat "$work/start"; fail "no word of the damage"; }
cmp "$conf" "$work/damaged" || fail "the damaged file was changed"
echo "ok   a damaged nodes.conf is refused and left as it is"
