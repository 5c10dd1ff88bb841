#!/usr/bin/env bash
# a look at the cluster's view, as an lcore does it for each command: nanoseconds, and atomic instructions
. "$root/bench/lib.sh"

"$build_dir/bench/view-bench" > "$work/view"
atomics=$(objdump -d --no-show-raw-insn "$build_dir/bench/view-bench" | awk '/<slot_is_ours[^>]*>:/ {on = 1} on && /ret/ {exit} on' | grep -cE 'lock |xchg|mfence' || true)
awk -v n="$name" '{print n, $2 "_" $4, $3, $4}' "$work/view"
figure atomic_instructions "$atomics" instructions
