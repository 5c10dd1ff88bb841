#!/usr/bin/env bash
# What the node refuses to start with: exit code 1, a reason on standard error, the file untouched;
# and starts that are called off. Needs no rights: nothing here comes as far as the port.
set -u
node=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

# refused WANTED ARGS...: WANTED is part of what it says.
refused() {
  local wanted=$1 said code
  shift
  [ -f a.conf ] && cp a.conf before.conf
  said=$("$node" "$@" 2>&1 < /dev/null)
  code=$?
  if [ $code -ne 1 ] || [[ $said != *"$wanted"* ]]; then
    echo "FAILED: slotwire $* gave $code and said: $said (wanted: $wanted)"
    failed=1
  fi
  if [ -f a.conf ] && ! cmp -s a.conf before.conf; then
    echo "FAILED: slotwire $* changed its file"
    failed=1
  fi
}

# line WANTED LINE: a file with that line.
line() {
  printf '# mine\n%b\n' "$2" > a.conf
  refused "$1" a.conf
  refused "$1" --test-config a.conf
}

line "Bad directive or wrong number of arguments" "nonsense 1"
line "argument must be a memory value" "maxmemory 99999999999999999999"
line "argument must be between 0 and 65535 inclusive" "port 65536"
line "port was given already, at line 2 of this file" "port 6379\nport 6380"
line "the line contains a zero byte" 'maxmemory 1\0000'
line "Unbalanced quotes" 'logfile "x'
line "No such file or directory" "include missing.conf"
line "includes are nested too deeply" "include a.conf"
line "port 0 needs a unixsocket" "port 0"
line "at line 2" "daemonize maybe"

# What shows only when the whole is put together names the line that is wrong.
placed() {
  printf '# mine\nport 7000\nnic tap:sw0\nip 10.77.0.1/24\n%b\n' "$2" > a.conf
  refused "a.conf, line 5: $1" a.conf
  refused "a.conf, line 5: $1" --test-config a.conf
}
placed "lcores \"0,0\": a CPU is named twice" "lcores 0,0"
placed "lcores \"9999\": must be 1 to 62" "lcores 9999"
placed "gateway 'x' is not an address" "gateway x"
placed "ip '10.77.0.0/24' is not an address that a host can have" "ip 10.77.0.0/24"
placed "ip6 'ff02::1/64' is not an address that a host can have" "ip6 ff02::1/64"
placed "gateway6 needs ip6" "gateway6 fe80::1"
placed "nic \"foo:\"" "nic foo:"

{ printf 'logfile '; head -c 1048576 /dev/zero | tr '\0' a; } > a.conf
refused "the line is longer than 65536 bytes" a.conf
head -c 5000000 /dev/zero | tr '\0' '\n' > a.conf
refused "File too large" a.conf
head -c 100000 /dev/urandom > a.conf
refused "FATAL CONFIG FILE ERROR" a.conf
rm -f a.conf

refused "No such file or directory" missing.conf
refused "Is a directory" .
whole=(--nic tap:sw0 --ip 10.77.0.1/24) # what a node needs at least
refused "can't change to dir '/no/such/folder'" "${whole[@]}" --dir /no/such/folder
refused "can't open logfile" "${whole[@]}" --logfile /no/such/folder/log
refused "can't write pidfile" "${whole[@]}" --pidfile /no/such/folder/pid
refused "can't listen on unixsocket" "${whole[@]}" --unixsocket /no/such/folder/s
refused "the node has no address" --port 1
refused "the node has no address" --port 1 --daemonize yes
refused "must be tap:NAME" --nic foo: --ip 10.77.0.1/24
refused "not an address that a host can have" --nic tap:sw0 --ip 10.77.0.0/24
refused "not an address that a host can have" --nic tap:sw0 --ip 127.0.0.1/8
refused "is not an address" --nic tap:sw0 --ip 10.77.0.1
refused "must be a rate" "${whole[@]}" --nic-fault loss=200%
refused "not a unicast MAC" "${whole[@]}" --mac ff:ff:ff:ff:ff:ff
refused "tls-cluster is not available: there is no TLS yet" --tls-cluster yes
refused "wrong number of arguments" --port
refused "Bad directive" --nonsense 1

printf 'port 7000\nnic tap:sw0\nip 10.77.0.1/24\n' > a.conf
"$node" --test-config a.conf --timeout 5 > /dev/null || { echo "FAILED: a good file"; failed=1; }
"$node" --test-config - < a.conf > /dev/null || { echo "FAILED: standard input"; failed=1; }
"$node" --help | grep -q maxmemory || { echo "FAILED: --help"; failed=1; }
"$node" --version | grep -q slotwire || { echo "FAILED: --version"; failed=1; }
# The stock configuration of Redis, as its package installs it, and what it says of itself.
stock=/etc/redis/redis.conf
if [ -r $stock ]; then
  said=$("$node" --test-config $stock "${whole[@]}" 2>&1)
  [[ $said == *"The configuration is fine."* && $said == *"accepted, without effect: rdbchecksum: "* ]] ||
    { echo "FAILED: $stock: $said"; failed=1; }
fi

# A signal while packet buffers are made ends the start at once, and leaves nothing behind.
start=(--nic memif:"$dir"/m.sock --ip 10.77.0.1/24 --hugepages no --packet-buffers 150000)
for signal in TERM INT; do
  "$node" "${start[@]}" --pidfile "$dir"/pid --unixsocket "$dir"/u.sock > said 2>&1 < /dev/null &
  pid=$!
  until [ -s pid ] || ! kill -0 $pid; do sleep 0.005; done
  kill -$signal $pid
  wait $pid
  code=$?
  if [ $code -ne 0 ] || grep -q Ready said || ! grep -q "Received SIG$signal while starting" said ||
    [ -e pid ] || [ -e u.sock ]; then
    echo "FAILED: SIG$signal while starting gave $code, left $(echo *) and said: $(cat said)"
    failed=1
  fi
done

[ "$failed" -eq 0 ] && echo "all refused as they should be"
exit "$failed"
