# Shared by the scripts: where things are, what Debian packages are needed, how to build. Sourced.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${SLOTWIRE_BUILD:-$root/build}
node_binary=${SLOTWIRE_BINARY:-$build_dir/main/slotwire}

build_packages="gcc libc6-dev meson ninja-build pkg-config libdpdk-dev liburcu-dev libjemalloc-dev
  libcmocka-dev libxxhash-dev libssl-dev libbsd-dev libxdp-dev libbpf-dev libelf-dev libnuma-dev
  libjansson-dev libpcap-dev"
run_packages="redis-server redis-tools iproute2 procps"
test_packages="python3 python3-scapy ethtool libhiredis-dev clang"

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "needs root: sudo $0 $*"; }

# need_packages NAME...: installs what is missing; says so once.
need_packages() {
  local missing=()
  for p in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return 0
  say "installing packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # redis-server must not start a daemon of its own here.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' > $policy; chmod +x $policy; made=1; fi
  { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
    > /tmp/slotwire-apt.log 2>&1 || { [ -n "$made" ] && rm -f $policy
      tail -5 /tmp/slotwire-apt.log >&2; die "packages could not be installed (see /tmp/slotwire-apt.log)"; }
  [ -z "$made" ] || rm -f $policy
}

# build_node [meson options]: configures once, builds what changed.
build_node() {
  [ -f "$build_dir/build.ninja" ] || meson setup "$build_dir" "$root" "$@" > /dev/null ||
    die "meson setup failed: see $build_dir/meson-logs/meson-log.txt"
  local log=$build_dir/build.log
  ninja -C "$build_dir" > "$log" 2>&1 || { tail -40 "$log" >&2; die "the build failed (see $log)"; }
}
