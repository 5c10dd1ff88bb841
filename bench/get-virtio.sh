#!/usr/bin/env bash
# GET of 32 bytes over virtio-user and vhost: against testpmd's packet rate and against Redis on loopback
. "$root/bench/lib.sh"

# A virtual machine's cores change places on the host within seconds and everything here changes with them by half,
# so each round measures all five rates one after the other; the ratios are made within a round.
rounds=${ROUNDS:-5}
seconds=${SECONDS_PER_RUN:-2}
need_hugepages 1024
socket=$work/vhost.sock pmd_socket=$work/pmd.sock

# packet_rate: testpmd's packets per second, once they flow.
packet_rate() {
  start "$work/pmd0.log" dpdk-testpmd --lcores '0@0,1@0' --in-memory --single-file-segments -m 256 --no-pci \
    --file-prefix swb0 --vdev "net_vhost0,iface=$pmd_socket,queues=1" -- --forward-mode=macswap --auto-start --stats-period 1
  for ((i = 0; i < 100; i++)); do [ -S "$pmd_socket" ] && break; sleep 0.05; done
  start "$work/pmd1.log" dpdk-testpmd --lcores '0@1,1@1' --in-memory --single-file-segments -m 256 --no-pci \
    --file-prefix swb1 --vdev "net_virtio_user0,path=$pmd_socket,queues=1" -- --forward-mode=macswap --tx-first --stats-period 1
  for ((i = 0; i < 100; i++)); do
    [ "$(packet_samples | wc -l)" -gt "$seconds" ] && break
    sleep 0.1
  done
  stop_last; stop_last
  rm -f "$pmd_socket"
  packet_samples | tail -n +2 | median | awk '{printf "%.0f", $1}'
}
packet_samples() { sed -n 's/.*Rx-pps: *\([1-9][0-9]*\) .*/\1/p' "$work/pmd0.log"; }

# generate PIPELINE: GETs per second at the node.
generate() {
  "$build_dir/bench/slotwire-loadgen" --nic "virtio-user:$socket" --ip 10.99.0.2/24 --server 10.99.0.1 --lcores 1-1 \
    --huge --connections 50 --pipeline "$1" --seconds "$seconds" --keys 100000 "${@:2}" |
    tee -a "$work/loadgen.log" | sed -n 's/^loadgen requests \([0-9]*\) .*/\1/p'
}

redis_get() { redis_bench taskset -c 1 redis-benchmark -p 7399 -t get -c 50 -r 100000 -d 32 -P "$1" -n $(($2 * seconds)); }

# A process that is not measured stands still: it polls.
measured() { kill -CONT "$1"; "${@:2}"; kill -STOP "$1"; }

say "the node behind vhost on core 0, its load generator behind virtio-user on core 1; Redis the same way on loopback ..."
start "$work/node.log" "$node_binary" "$root/configs/bench-virtio.conf" --nic "vhost:$socket" --dir "$work"
node=$!
for ((i = 0; i < 200; i++)); do [ -S "$socket" ] && break; sleep 0.05; done
generate 16 --fill > /dev/null || { cat "$work/node.log"; die "the load generator failed"; }
start "$work/redis.log" taskset -c 0 redis-server --port 7399 --save "" --appendonly no --dir "$work"
redis=$!
kill -STOP "$node"
wait_ping 127.0.0.1 7399
taskset -c 1 redis-benchmark -p 7399 -t set -n 300000 -r 100000 -P 16 -d 32 -q > /dev/null
kill -STOP "$redis"

for ((r = 1; r <= rounds; r++)); do
  pps=$(packet_rate)
  [ "${pps:-0}" != 0 ] || { tail -n 5 "$work"/pmd*.log; die "testpmd forwarded nothing"; }
  node_p1=$(measured "$node" generate 1)
  redis_p1=$(measured "$redis" redis_get 1 80000)
  node_p16=$(measured "$node" generate 16)
  redis_p16=$(measured "$redis" redis_get 16 600000)
  say "round $r of $rounds: testpmd ${pps%.*} packets/s; GET P=1 $node_p1, Redis $redis_p1; P=16 $node_p16, Redis $redis_p16"
  awk -v pps="$pps" -v n1="$node_p1" -v r1="$redis_p1" -v n16="$node_p16" -v r16="$redis_p16" 'BEGIN {
    print "testpmd_macswap", pps; print "node_get_p1", n1; print "redis_get_p1", r1
    print "node_get_p16", n16; print "redis_get_p16", r16
    print "ratio_p1_testpmd", n1 / pps; print "ratio_p1_redis", n1 / r1; print "ratio_p16_redis", n16 / r16 }' >> "$work/rounds"
done
kill -CONT "$node" "$redis"

of_rounds() { awk -v m="$1" '$1 == m {print $2}' "$work/rounds" | median | awk -v f="$2" '{printf f, $1}'; }
printf '\n%-28s %14s %14s %8s\n' "medians of $rounds rounds" "this node" "peer" "ratio"
printf '%-28s %14s %14s %8s\n' "GET/s P=1 : testpmd pps" "$(of_rounds node_get_p1 %.0f)" "$(of_rounds testpmd_macswap %.0f)" "$(of_rounds ratio_p1_testpmd %.3f)"
printf '%-28s %14s %14s %8s\n' "GET/s P=1 : Redis" "$(of_rounds node_get_p1 %.0f)" "$(of_rounds redis_get_p1 %.0f)" "$(of_rounds ratio_p1_redis %.2f)"
printf '%-28s %14s %14s %8s\n\n' "GET/s P=16: Redis" "$(of_rounds node_get_p16 %.0f)" "$(of_rounds redis_get_p16 %.0f)" "$(of_rounds ratio_p16_redis %.2f)"
figure testpmd_macswap "$(of_rounds testpmd_macswap %.0f)" packets/s
for metric in node_get_p1 redis_get_p1 node_get_p16 redis_get_p16; do figure "$metric" "$(of_rounds "$metric" %.0f)" req/s; done
figure ratio_p1_testpmd "$(of_rounds ratio_p1_testpmd %.3f)" x
figure ratio_p1_redis "$(of_rounds ratio_p1_redis %.2f)" x
figure ratio_p16_redis "$(of_rounds ratio_p16_redis %.2f)" x
