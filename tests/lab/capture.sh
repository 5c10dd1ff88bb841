#!/usr/bin/env bash
# A packet capture by CAPTURE on a running node: what redis-cli said and heard stands in the file, both ways; the
# bounds, the mistakes, and a full disk.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export SLOTWIRE_LAB=test-capture-$$
dir=/tmp/slotwire-$SLOTWIRE_LAB/node-1
small=/tmp/slotwire-$SLOTWIRE_LAB-small
stuck=/tmp/slotwire-$SLOTWIRE_LAB-stuck
export SLOTWIRE_EXTRA="enable-protected-configs yes"
lab() { "$root/scripts/lab" "$@"; }
finish() {
  local code=$?
  if mountpoint -q "$stuck"; then fsfreeze -u "$stuck" 2> /dev/null || true; fi
  lab down
  for dir in "$small" "$stuck"; do
    if mountpoint -q "$dir"; then umount "$dir"; fi
  done
  rm -rf "$small" "$stuck" "$stuck.img"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM
fail() { echo "FAIL: $*"; exit 1; }
read_file() { /usr/bin/python3 "$root/tests/lab/capture.py" "$@"; }
cli() { lab exec timeout 20 redis-cli -h 10.77.0.1 "$@"; }
expect() { # WANTED CMD...
  local wanted=$1 got; shift
  got=$("$@") || true
  [ "$got" = "$wanted" ] || fail "$*: wanted '$wanted', got '$got'"
  echo "ok   $* -> $got"
}
field() { cli capture status | tr -d '\r' | sed -n "s/^capture_$1://p"; }
await() { # FIELD WANTED
  local got=
  for _ in $(seq 200); do
    got=$(field "$1")
    [ "$got" = "$2" ] && return 0
    sleep 0.05
  done
  fail "capture_$1: wanted '$2', got '$got'"
}

# Before the node starts: its mounts are a copy.
mkdir -p "$small"
mount -t tmpfs -o size=64k none "$small"
mkdir -p "$stuck"
truncate -s 16M "$stuck.img"
mkfs.ext4 -q "$stuck.img"
mount -o loop "$stuck.img" "$stuck" || echo "no loop device: a disk that does not answer is not tried"
lab up 1 standalone
expect none field state

echo "what redis-cli said and heard"
expect "$dir/talk.pcapng" cli capture start file talk.pcapng
expect running field state
expect OK cli set captured-key captured-value
expect captured-value cli get captured-key
cli capture stop | grep -q "capture_end:stopped" || fail "STOP does not say how it ended"
expect ended field state
expect 0 field dropped
expect 600 stat -c %a "$dir/talk.pcapng"
read_file "$dir/talk.pcapng" "$(field packets)" || fail "the file"
if command -v tcpdump > /dev/null; then
  expect "$(field packets)" bash -c "tcpdump -nr '$dir/talk.pcapng' 2> /dev/null | wc -l"
fi

echo "a load, while it is captured and cut"
cli capture start file load.pcapng snaplen 64 packets 2000 queue 65536 > /dev/null
lab exec timeout 60 redis-benchmark -h 10.77.0.1 -q -n 5000 -c 20 -t set,get > /dev/null
await end packets
expect 2000 field packets
[ "$(field truncated)" -gt 0 ] || fail "nothing was cut"

echo "other bounds"
cli capture start file b.pcapng bytes 10000 > /dev/null
lab exec timeout 60 redis-benchmark -h 10.77.0.1 -q -n 1000 -t ping > /dev/null
await end bytes
[ "$(stat -c %s "$dir/b.pcapng")" -le 10000 ] || fail "the file is too long"
cli capture start file s.pcapng seconds 1 > /dev/null
await end seconds

echo "mistakes"
expect "ERR can't create 'talk.pcapng': File exists" cli capture start file talk.pcapng
expect failed field state
expect "ERR no capture is running" cli capture stop
cli capture start file ../talk.pcapng | grep -q "ERR FILE must be a plain name" || fail "a path was taken"
cli capture start file dump.rdb | grep -q "ERR FILE must be a plain name" || fail "another kind of file was taken"
cli capture start > /dev/null
expect "ERR a capture runs already" cli capture start
cli capture stop > /dev/null

echo "a full disk"
expect OK cli config set dir "$small"
cli capture start file full.pcapng > /dev/null
lab exec timeout 60 redis-benchmark -h 10.77.0.1 -q -n 2000 -t set -d 500 > /dev/null
await end "write error"
expect "No space left on device" field error
read_file "$small/full.pcapng" "$(field packets)" --any || fail "the file is not whole"
expect OK cli config set dir "$dir"

hang() {
  echo "a disk that does not answer: the capture loses packets, clients notice nothing"
  expect OK cli config set dir "$stuck"
  cli capture start file stuck.pcapng > /dev/null
  fsfreeze -f "$stuck"
  lab exec timeout 60 redis-benchmark -h 10.77.0.1 -q -n 3000 -c 20 -t set,get > /dev/null
  expect running field state
  expect PONG cli ping
  cli capture stop > "$dir/stop" &
  stop=$!
  expect PONG cli ping
  fsfreeze -u "$stuck"
  wait $stop
  [ "$(field dropped)" -gt 0 ] || fail "nothing was dropped"
  expect ended field state
  read_file "$stuck/stuck.pcapng" "$(field packets)" --any || fail "the file is not whole"
  expect OK cli config set dir "$dir"
}
if mountpoint -q "$stuck"; then hang; fi

echo "the end of the node ends a capture in order"
cli capture start file last.pcapng > /dev/null
lab node 1 stop
read_file "$dir/last.pcapng" - --any || fail "the last file is not whole"
lab node 1 start
expect none field state
