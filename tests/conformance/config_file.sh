#!/usr/bin/env bash
# config_file.sh NODE: everything that a stock redis-server says of its own configuration, read as a file by NODE.
# But for the save points that Redis has by default: nobody shall believe that there are any.
set -euo pipefail
node=$(realpath "$1")
dir=$(mktemp -d)
trap 'kill "$redis" 2> /dev/null || true; rm -rf "$dir"' EXIT
redis-server --port 0 --save "" --unixsocket "$dir/redis.sock" --dir "$dir" --logfile "$dir/redis.log" --pidfile "$dir/pid" < /dev/null > /dev/null &
redis=$!
for ((i = 0; i < 200; i++)); do
  [ "$(redis-cli -s "$dir/redis.sock" ping 2> /dev/null)" = PONG ] && break
  sleep 0.05
done

# name and value on a line each; an empty value is quoted.
redis-cli -s "$dir/redis.sock" config get '*' > "$dir/all"
while IFS= read -r name && IFS= read -r value; do
  case $name in
    port) value=6379 ;; # there it is 0
  esac
  printf '%s %s\n' "$name" "${value:-\"\"}"
done < "$dir/all" > "$dir/all.conf"
directives=$(wc -l < "$dir/all.conf")
[ "$directives" -gt 150 ] || { echo "redis-server told of $directives directives only"; exit 1; }
"$node" --test-config "$dir/all.conf" --nic tap:sw0 --ip 10.77.0.1/24 --unixsocket "" > "$dir/said" ||
  { echo "of $directives directives one is refused"; exit 1; }
echo "$directives directives, $(grep -c '^accepted, without effect' "$dir/said") without effect"
