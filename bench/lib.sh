# Shared by the comparisons; sourced after scripts/lib.sh. Everything started here is ended here.
started=()
work=$(mktemp -d /tmp/slotwire-bench.XXXXXX)
hugepages_before=$(cat /proc/sys/vm/nr_hugepages)

bench_end() {
  for pid in "${started[@]:-}"; do [ -z "$pid" ] || kill "$pid" 2> /dev/null || true; done
  wait 2> /dev/null || true
  echo "$hugepages_before" > /proc/sys/vm/nr_hugepages
  for ns in "${namespaces[@]:-}"; do [ -z "$ns" ] || ip netns del "$ns" 2> /dev/null || true; done
  rm -rf "$work"
}
namespaces=()
trap bench_end EXIT
trap 'exit 130' INT TERM

# start LOG CMD...: in the background; the process id is in $!.
start() { local log=$1; shift; "$@" > "$log" 2>&1 < /dev/null & started+=($!); }
stop_last() { local pid=${started[-1]}; kill "$pid" 2> /dev/null || true; wait "$pid" 2> /dev/null || true; unset 'started[-1]'; }

# need_hugepages N: of 2 MiB each, beside those that others use.
need_hugepages() {
  local all free
  all=$(cat /proc/sys/vm/nr_hugepages)
  free=$(awk '/HugePages_Free/ {print $2}' /proc/meminfo)
  [ "$free" -ge "$1" ] || echo $((all + $1 - free)) > /proc/sys/vm/nr_hugepages
  [ "$(awk '/HugePages_Free/ {print $2}' /proc/meminfo)" -ge "$1" ] || die "the kernel gives no $1 hugepages of 2 MiB"
}

# ratio A B: A/B with two digits.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", (b > 0 ? a / b : 0)}'; }
figure() { printf '%s %s %s %s\n' "$name" "$1" "$2" "$3"; }
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

wait_ping() { # host port [command prefix...]
  local host=$1 port=$2; shift 2
  for ((i = 0; i < 200; i++)); do
    [ "$("$@" timeout 1 redis-cli -h "$host" -p "$port" ping 2> /dev/null)" = PONG ] && return 0
    sleep 0.05
  done
  die "no answer from $host:$port"
}

# redis_bench PREFIX... -- redis-benchmark's arguments: requests per second of the one test.
redis_bench() { "$@" --csv 2> /dev/null | tail -1 | cut -d, -f2 | tr -d '"'; }
