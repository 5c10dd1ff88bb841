#!/usr/bin/env bash
# PING of one client while another runs commands on values of a million elements: this node and Redis
. "$root/bench/lib.sh"

elements=${ELEMENTS:-1000000}
export SLOTWIRE_LAB=bench-longwork
lab() { "$root/scripts/lab" "$@"; }
trap 'lab down; bench_end' EXIT

say "this node behind TAP, $elements elements ..."
lab up 1 standalone
lab exec taskset -c 1 python3 "$root/bench/longwork.py" 10.77.0.1 6379 "$elements" > "$work/node"
lab down

say "Redis over a veth pair between two namespaces ..."
namespaces=(swbench-a swbench-b)
for ns in "${namespaces[@]}"; do ip netns add "$ns"; done
ip link add swb0 netns swbench-a type veth peer name swb1 netns swbench-b
ip -n swbench-a addr add 10.78.0.1/24 dev swb0; ip -n swbench-a link set swb0 up
ip -n swbench-b addr add 10.78.0.2/24 dev swb1; ip -n swbench-b link set swb1 up
start "$work/redis.log" ip netns exec swbench-a taskset -c 0 redis-server --port 6379 --bind 10.78.0.1 --protected-mode no \
  --save "" --appendonly no --dir "$work"
wait_ping 10.78.0.1 6379 ip netns exec swbench-b
ip netns exec swbench-b taskset -c 1 python3 "$root/bench/longwork.py" 10.78.0.1 6379 "$elements" > "$work/redis"

printf '\n%-12s %31s   %31s\n' "" "this node: took  PING p99    max" "Redis: took  PING p99    max"
while read -r command took pings p50 p99 max && read -r _ rtook _ rp50 rp99 rmax <&3; do
  printf '%-12s %12s ms %5s us %6s us   %8s ms %6s us %7s us\n' "$command" "$took" "$p99" "$max" "$rtook" "$rp99" "$rmax"
  lower=${command,,}
  figures+=("node_${lower}_ping_p99 $p99 us" "node_${lower}_ping_max $max us" "node_${lower}_took $took ms"
            "redis_${lower}_ping_p99 $rp99 us" "redis_${lower}_ping_max $rmax us" "redis_${lower}_took $rtook ms")
done < "$work/node" 3< "$work/redis"
say
# shellcheck disable=SC2086  # three words each
for f in "${figures[@]}"; do figure $f; done
