#!/usr/bin/env bash
# GET and SET through the kernel: this node on TAP against Redis over a veth pair, same client, one core each
. "$root/bench/lib.sh"

requests=${REQUESTS:-300000}
export SLOTWIRE_LAB=bench-tap
lab() { "$root/scripts/lab" "$@"; }
trap 'lab down; bench_end' EXIT

say "this node behind TAP ..."
lab up 1 bench
declare -A node redis
measure() { # array prefix...
  local -n out=$1; shift
  for test in get set; do
    for p in 1 16; do
      out[$test$p]=$(redis_bench "$@" -t $test -c 50 -r 100000 -d 32 -P $p -n $((requests * (p == 1 ? 1 : 6))))
      say "  $test -P $p: ${out[$test$p]}"
    done
  done
}
lab exec taskset -c 1 redis-benchmark -h 10.77.0.1 -t set -n 300000 -r 100000 -P 16 -d 32 -q > /dev/null
measure node lab exec taskset -c 1 redis-benchmark -h 10.77.0.1
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
ip netns exec swbench-b taskset -c 1 redis-benchmark -h 10.78.0.1 -t set -n 300000 -r 100000 -P 16 -d 32 -q > /dev/null
measure redis ip netns exec swbench-b taskset -c 1 redis-benchmark -h 10.78.0.1

printf '\n%-12s %14s %14s %8s\n' "" "this node" "Redis" "ratio"
for k in get1 get16 set1 set16; do
  printf '%-12s %14.0f %14.0f %8s\n' "$k" "${node[$k]}" "${redis[$k]}" "$(ratio "${node[$k]}" "${redis[$k]}")"
done
say
for k in get1 get16 set1 set16; do
  figure "node_$k" "${node[$k]}" req/s
  figure "redis_$k" "${redis[$k]}" req/s
  figure "ratio_$k" "$(ratio "${node[$k]}" "${redis[$k]}")" x
done
