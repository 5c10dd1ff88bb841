#!/usr/bin/env bash
# Resident bytes per idle connection: 100,000 of them from four source addresses, over virtio-user and vhost
. "$root/bench/lib.sh"

connections=${CONNECTIONS:-100000}
need_hugepages 1024
socket=$work/vhost.sock
rss() { awk '/^VmRSS/ {print $2 * 1024}' "/proc/$1/status"; }

start "$work/node.log" "$node_binary" "$root/configs/bench-virtio.conf" --nic "vhost:$socket" --dir "$work" \
  --maxclients $((connections + 100)) --idle adaptive
node=$!
for ((i = 0; i < 200; i++)); do [ -S "$socket" ] && break; sleep 0.05; done
sleep 1
before=$(rss "$node")
start "$work/loadgen.log" "$build_dir/bench/slotwire-loadgen" --nic "virtio-user:$socket" --ip 10.99.0.2/24 --server 10.99.0.1 \
  --lcores 1-1 --huge --addresses 4 --connections "$connections" --hold --seconds 600
for ((i = 0; i < 1200; i++)); do grep -q '^loadgen connected' "$work/loadgen.log" && break; sleep 0.1; done
grep '^loadgen connected' "$work/loadgen.log" || { tail -n 3 "$work/loadgen.log" "$work/node.log"; die "the connections did not come up"; }
sleep 2
after=$(rss "$node")
total=$(awk -v a="$before" -v b="$after" 'BEGIN {printf "%.1f", (b - a) / 1e6}')
each=$(awk -v a="$before" -v b="$after" -v n="$connections" 'BEGIN {printf "%.0f", (b - a) / n}')
printf '\n%d idle connections: %s MB more resident memory, %s bytes each\n\n' "$connections" "$total" "$each"
figure connections "$connections" connections
figure memory "$total" MB
figure memory_each "$each" bytes
