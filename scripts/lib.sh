# shellcheck shell=bash disable=SC2034  # sourced: the names are used by the others
# Shared by the scripts: where things are, what Debian packages are needed, how to build. Sourced.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${SLOTWIRE_BUILD:-$root/build}
node_binary=${SLOTWIRE_BINARY:-$build_dir/main/slotwire}

build_packages=(gcc libc6-dev meson ninja-build pkg-config libdpdk-dev liburcu-dev libjemalloc-dev
  libcmocka-dev libxxhash-dev libssl-dev libbsd-dev libxdp-dev libbpf-dev libelf-dev libnuma-dev
  libjansson-dev libpcap-dev libhiredis-dev liblzf-dev libisal-dev)
run_packages=(redis-server redis-tools iproute2 procps)
test_packages=(python3 python3-scapy iputils-ping)

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "needs root: sudo $0 $*"; }

installed=

# need_packages NAME...: installs what is missing; says so once.
need_packages() {
  local missing=()
  for p in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return 0
  say "installing packages: ${missing[*]}"
  local log
  log=$(mktemp /tmp/slotwire-apt.XXXXXX)
  install_packages "$log" "${missing[@]}" || {
    tail -5 "$log" >&2
    die "packages could not be installed (see $log)"
  }
  rm -f "$log"
  installed=1
}

# In a subshell of its own, whose end takes the policy back however it comes.
install_packages() (
  log=$1; shift
  export DEBIAN_FRONTEND=noninteractive
  # redis-server must not start a daemon of its own here.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
  fi
  # A fresh machine may still be updating itself; a list that cannot be fetched matters only if a package is in it.
  wait_for_lock=(-o DPkg::Lock::Timeout=300)
  apt-get update -q "${wait_for_lock[@]}" > "$log" 2>&1 < /dev/null || true
  apt-get install -y -q --no-install-recommends "${wait_for_lock[@]}" "$@" >> "$log" 2>&1 < /dev/null
)

# build_node [meson options]: configures once, and again when packages have come; builds what changed.
build_node() {
  local again=()
  if [ -f "$build_dir/build.ninja" ]; then again=(--reconfigure); fi
  if [ ${#again[@]} = 0 ] || [ -n "$installed" ]; then
    meson setup "${again[@]}" "$build_dir" "$root" "$@" > /dev/null ||
      die "meson setup failed: see $build_dir/meson-logs/meson-log.txt"
  fi
  local log=$build_dir/build.log
  ninja -C "$build_dir" > "$log" 2>&1 || { tail -40 "$log" >&2; die "the build failed (see $log)"; }
}
