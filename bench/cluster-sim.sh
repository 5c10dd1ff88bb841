#!/usr/bin/env bash
# The cluster bus at 10 to 2,000 nodes in simulation: convergence, bytes, CPU, by way of spreading news
# CLUSTER_SIM_NODES="10 100" runs fewer; 2,000 nodes take 8 GB of memory and most of an hour.
# shellcheck disable=SC2154  # sourced by scripts/bench

bench=$build_dir/tests/sim/cluster-sim-bench
[ -x "$bench" ] || die "$bench is not built"
rows=$(mktemp)
plot=${CLUSTER_SIM_PLOT:-$build_dir/cluster-sim.svg}
say "node timeout 15 s, half of the nodes are replicas; CPU is that of the control plane's step, for one node"
printf '%6s %-7s %12s %12s %12s %10s %10s %9s %8s\n' nodes mode 'half know' 'all know' 'bytes/s' \
  'msgs/s' 'us/msg' 'entries' 'core %'
for nodes in ${CLUSTER_SIM_NODES:-10 100 1000 2000}; do
  seconds=8 # a whole round of probes
  [ "$nodes" -ge 1000 ] || seconds=60
  for mode in rumour ring both; do
    line=$("$bench" "$nodes" "$mode" "$seconds")
    printf '%s\n' "$line" >> "$rows"
    printf '%s\n' "$line" | awk '{printf "%6s %-7s %9s ms %9s ms %12s %10s %10s %9s %8s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9}'
  done
done
while read -r nodes mode _ all bytes _ cpu _ core; do
  say "cluster-sim ${mode}_${nodes}_converged $all ms"
  say "cluster-sim ${mode}_${nodes}_bytes_per_node $bytes B/s"
  say "cluster-sim ${mode}_${nodes}_cpu_per_message $cpu us"
  say "cluster-sim ${mode}_${nodes}_core $core %"
done < "$rows"
python3 "$root/bench/cluster-sim-plot.py" "$plot" < "$rows"
say "plot: $plot"
rm -f "$rows"
