#!/usr/bin/env bash
# Ten idle nodes on this machine: CPU that each uses, and how long a first PING takes after quiet
. "$root/bench/lib.sh"

nodes=${NODES:-10} seconds=${SECONDS_PER_RUN:-10}
export SLOTWIRE_LAB=bench-idle
lab() { "$root/scripts/lab" "$@"; }
trap 'lab down; bench_end' EXIT
lab up "$nodes" standalone
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
declare -A before
for ((i = 1; i <= nodes; i++)); do before[$i]=$(ticks "$(lab node $i pid)"); done
sleep "$seconds"
worst=0
for ((i = 1; i <= nodes; i++)); do
  used=$(awk -v a="${before[$i]}" -v b="$(ticks "$(lab node $i pid)")" -v s="$seconds" -v hz="$(getconf CLK_TCK)" \
    'BEGIN {printf "%.2f", (b - a) * 100 / hz / s}')
  worst=$(awk -v a="$used" -v b="$worst" 'BEGIN {print (a > b ? a : b)}')
  say "node $i: $used % of a core"
done
first=$(lab exec python3 - "$nodes" <<'P'
import socket, sys, time
times = []
for r in range(20):
    for i in range(1, int(sys.argv[1]) + 1):
        s = socket.create_connection(("10.77.0.%d" % i, 6379))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        time.sleep(0.01)
        t = time.perf_counter()
        s.sendall(b"PING\r\n")
        assert s.recv(100) == b"+PONG\r\n"
        times.append((time.perf_counter() - t) * 1e6)
        s.close()
times.sort()
print("%.0f %.0f" % (times[len(times) // 2], times[int(len(times) * 0.99)]))
P
)
say
figure cpu_worst "$worst" "%"
figure first_ping_p50 "${first% *}" us
figure first_ping_p99 "${first#* }" us
