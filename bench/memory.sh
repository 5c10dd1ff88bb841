#!/usr/bin/env bash
# Resident bytes per key over key and value: 5 million keys of 10 bytes with 32-byte values, beside Redis
. "$root/bench/lib.sh"

keys=${KEYS:-5000000}
export SLOTWIRE_LAB=bench-memory
lab() { "$root/scripts/lab" "$@"; }
trap 'lab down; bench_end' EXIT

rss() { awk '/^VmRSS/ {print $2 * 1024}' "/proc/$1/status"; }
# fill PREFIX...: SET of keys "0000000000" … by redis-cli --pipe.
fill() {
  python3 - "$keys" <<'P' | "$@" --pipe > /dev/null
import sys
out = sys.stdout.buffer
for start in range(0, int(sys.argv[1]), 10000):
    out.write(b"".join(b"*3\r\n$3\r\nSET\r\n$10\r\n%010d\r\n$32\r\n%032d\r\n" % (i, i) for i in range(start, min(start + 10000, int(sys.argv[1])))))
P
}
per_key() { awk -v a="$1" -v b="$2" -v n="$keys" 'BEGIN {printf "%.1f", (b - a) / n - 42}'; }

say "this node, $keys keys ..."
lab up 1 bench
pid=$(lab node 1 pid)
before=$(rss "$pid")
fill lab exec redis-cli -h 10.77.0.1
[ "$(lab exec redis-cli -h 10.77.0.1 dbsize)" = "$keys" ] || die "not all keys arrived"
node=$(per_key "$before" "$(rss "$pid")")
lab down

say "Redis, the same keys ..."
start "$work/redis.log" redis-server --port 7399 --save "" --appendonly no --dir "$work"
wait_ping 127.0.0.1 7399
before=$(rss "${started[-1]}")
fill redis-cli -p 7399
[ "$(redis-cli -p 7399 dbsize)" = "$keys" ] || die "not all keys arrived at Redis"
redis=$(per_key "$before" "$(rss "${started[-1]}")")

printf '\n%-34s %10s %10s %8s\n' "" "this node" "Redis" "ratio"
printf '%-34s %10s %10s %8s\n\n' "bytes per key over key and value" "$node" "$redis" "$(ratio "$node" "$redis")"
figure node_overhead "$node" bytes/key
figure redis_overhead "$redis" bytes/key
figure ratio "$(ratio "$node" "$redis")" x
