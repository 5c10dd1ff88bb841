#!/usr/bin/env bash
# Runs inside the lab: each client in turn.
set -euo pipefail
host=10.77.0.1 socket=$1
cli() { timeout 20 redis-cli -h $host "$@"; }

echo "== redis-cli"
cli ping | grep -qx PONG
[ "$(cli -3 set k v)" = OK ] && [ "$(cli get k)" = v ]
printf 'set a 1\nincr a\nget a\n' | cli | tail -1 | grep -qx 2
python3 -c 'import sys
for i in range(20000): sys.stdout.write("SET pipe:%d %d\r\n" % (i, i))' | cli --pipe | grep -q 'errors: 0, replies: 20000'
[ "$(cli --scan --pattern 'pipe:*' | sort -u | wc -l)" = 20000 ]
cli --bigkeys | grep -q 'Biggest string'
echo "== redis-cli over the unix socket"
timeout 20 redis-cli -s "$socket" ping | grep -qx PONG
[ "$(timeout 20 redis-cli -s "$socket" get k)" = v ]
echo "== redis-benchmark"
for p in 1 16; do
  timeout 120 redis-benchmark -h $host -t set,get,incr,lpush,hset,sadd,mset -c 20 -n 20000 -P $p -q | tr '\r' '\n' | grep -c 'requests per second' | grep -qx 7
done
echo "== hiredis"
"$HIREDIS_CLIENT" $host 6379
echo "== ioredis"
timeout 60 node "$NODE_MODULES/ioredis.mjs" $host 6379
echo "== node-redis"
timeout 60 node "$NODE_MODULES/node-redis.mjs" $host 6379
