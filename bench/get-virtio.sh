#!/usr/bin/env bash
# GET of 32 bytes over virtio-user and vhost: against testpmd's packet rate and against Redis on loopback
. "$root/bench/lib.sh"

seconds=${SECONDS_PER_RUN:-5}
need_hugepages 1024
socket=$work/vhost.sock

packet_rate() {
  start "$work/pmd0.log" dpdk-testpmd --lcores '0@0,1@0' --in-memory --single-file-segments -m 256 --no-pci \
    --file-prefix swb0 --vdev "net_vhost0,iface=$socket,queues=1" -- --forward-mode=macswap --auto-start --stats-period 1
  sleep 1
  start "$work/pmd1.log" dpdk-testpmd --lcores '0@1,1@1' --in-memory --single-file-segments -m 256 --no-pci \
    --file-prefix swb1 --vdev "net_virtio_user0,path=$socket,queues=1" -- --forward-mode=macswap --tx-first --stats-period 1
  sleep "$seconds"
  stop_last; stop_last
  rm -f "$socket"
  sed -n 's/.*Rx-pps: *\([0-9]*\).*/\1/p' "$work/pmd0.log" | tail -n +3 | median
}

# generate PIPELINE: GETs per second at the node.
generate() {
  "$build_dir/bench/slotwire-loadgen" --nic "virtio-user:$socket" --ip 10.99.0.2/24 --server 10.99.0.1 --lcores 1-1 \
    --huge --connections 50 --pipeline "$1" --seconds "$seconds" --keys 100000 "${@:2}" |
    tee -a "$work/loadgen.log" | sed -n 's/^loadgen requests \([0-9]*\) .*/\1/p'
}

say "testpmd macswap on the same pair of ports ..."
pps=$(packet_rate)
[ "${pps:-0}" -gt 0 ] || { tail -n 5 "$work"/pmd*.log; die "testpmd forwarded nothing"; }

say "the node behind vhost, the load generator behind virtio-user ..."
start "$work/node.log" "$node_binary" "$root/configs/bench-virtio.conf" --nic "vhost:$socket" --dir "$work"
for ((i = 0; i < 200; i++)); do [ -S "$socket" ] && break; sleep 0.05; done
generate 16 --fill > /dev/null || { cat "$work/node.log"; die "the load generator failed"; }
node_p1=$(generate 1)
node_p16=$(generate 16)
stop_last

say "redis-server and redis-benchmark on loopback, one core each ..."
start "$work/redis.log" taskset -c 0 redis-server --port 7399 --save "" --appendonly no --dir "$work"
wait_ping 127.0.0.1 7399
taskset -c 1 redis-benchmark -p 7399 -t set -n 300000 -r 100000 -P 16 -d 32 -q > /dev/null
redis_p1=$(redis_bench taskset -c 1 redis-benchmark -p 7399 -t get -c 50 -r 100000 -d 32 -P 1 -n $((80000 * seconds)))
redis_p16=$(redis_bench taskset -c 1 redis-benchmark -p 7399 -t get -c 50 -r 100000 -d 32 -P 16 -n $((600000 * seconds)))
stop_last

printf '\n%-28s %14s %14s %8s\n' "" "this node" "peer" "ratio"
printf '%-28s %14.0f %14.0f %8s\n' "GET/s P=1 : testpmd pps" "$node_p1" "$pps" "$(ratio "$node_p1" "$pps")"
printf '%-28s %14.0f %14.0f %8s\n' "GET/s P=1 : Redis" "$node_p1" "$redis_p1" "$(ratio "$node_p1" "$redis_p1")"
printf '%-28s %14.0f %14.0f %8s\n\n' "GET/s P=16: Redis" "$node_p16" "$redis_p16" "$(ratio "$node_p16" "$redis_p16")"
figure testpmd_macswap "$pps" packets/s
figure node_get_p1 "$node_p1" req/s
figure node_get_p16 "$node_p16" req/s
figure redis_get_p1 "$redis_p1" req/s
figure redis_get_p16 "$redis_p16" req/s
figure ratio_p1_testpmd "$(ratio "$node_p1" "$pps")" x
figure ratio_p1_redis "$(ratio "$node_p1" "$redis_p1")" x
figure ratio_p16_redis "$(ratio "$node_p16" "$redis_p16")" x
