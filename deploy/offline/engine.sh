#!/usr/bin/env bash
# A Docker engine of one's own for a machine that has none and no registry of images: Debian packages only, nothing installed but
# runc, iptables, tini and debootstrap where they are missing. Root is needed. Its socket, data and settings are in the cache
# (TRIBUTARY_CACHE, default ~/.cache/tributary), and published ports are on 127.0.0.1 alone.
#
#   deploy/offline/engine.sh up            fetches it once (about 100 MB) and starts it
#   deploy/offline/engine.sh down          stops it and undoes what it changed of the network
#   deploy/offline/engine.sh run CMD...    starts it, runs a command with it, and stops it if it was not running before
#   deploy/offline/engine.sh env           prints what a shell has to be told: eval "$(deploy/offline/engine.sh env)"
#   deploy/offline/engine.sh purge         as down, and removes its images, volumes and program
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/offline/common.sh
. "$here/common.sh"

program=$state/engine
socket=$state/docker.sock
pidfile=$state/dockerd.pid
export PATH="$program/bin:$PATH" DOCKER_HOST="unix://$socket" DOCKER_CONFIG="$state/config"

environment() {
  # shellcheck disable=SC2016
  printf 'export PATH=%q:"$PATH" DOCKER_HOST=%q DOCKER_CONFIG=%q\n' "$program/bin" "unix://$socket" "$state/config"
  # Its image, which ends containers of tests that were killed, cannot be had here; published ports are on loopback.
  printf 'export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1\n'
}

answers() { docker version >/dev/null 2>&1; }

# The process of the pid file, if it is still ours.
running() {
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) || return 1
  grep -qz dockerd "/proc/$pid/cmdline" 2>/dev/null && printf '%s\n' "$pid"
}

# Debian trixie's engine runs on bookworm's libc, but its runc does not: that one, iptables and tini are this system's own.
fetch() {
  [ -x "$program/bin/dockerd" ] && [ -x "$program/cli-plugins/docker-buildx" ] && return
  need_apt "fetching a Docker engine"
  say "Fetching a Docker engine from Debian's packages ..."
  local apt=$state/apt missing=() pair
  for pair in runc:runc iptables:iptables tini-static:tini debootstrap:debootstrap; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    run "apt-get update" apt-get update -qq
    run "apt-get install" apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
  rm -rf "$apt" "$program"
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,debs,root} "$program"/{bin,cli-plugins}
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$(debian_mirror)" >"$apt/sources.list"
  cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
  (
    cd "$apt/debs"
    export APT_CONFIG=$apt/apt.conf
    run "reading Debian trixie's list of packages" apt-get update -qq
    run "fetching the engine's packages" apt-get download -qq docker.io docker-cli containerd docker-compose docker-buildx
  )
  local deb
  for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$apt/root"; done
  cp "$apt"/root/usr/bin/{docker,containerd,containerd-shim-runc-v2} "$apt/root/usr/sbin/dockerd" "$program/bin/"
  ln -sf "$(command -v tini-static)" "$program/bin/docker-init"
  cp "$apt"/root/usr/libexec/docker/cli-plugins/docker-{compose,buildx} "$program/cli-plugins/"
  rm -rf "$apt"
}

up() {
  if answers; then return; fi
  need_root "a Docker engine"
  # Two engines would undo each other's rules of the network. One that was killed has left the record of what was before.
  if [ ! -d "$state/before" ] && ip link show docker0 >/dev/null 2>&1; then
    die "there is a network docker0 already, so another Docker engine runs or has run here. Use that one."
  fi
  fetch
  mkdir -p "$state"/{data,exec,log,config}
  printf '{ "cliPluginsExtraDirs": ["%s"] }\n' "$program/cli-plugins" >"$state/config/config.json"
  # What the engine changes and does not put back, recorded when no engine has changed it yet.
  if [ ! -f "$state/before/ip_forward" ]; then
    mkdir -p "$state/before"
    cat /proc/sys/net/ipv4/ip_forward >"$state/before/ip_forward"
    local tool
    for tool in iptables ip6tables; do
      { "$tool" -S FORWARD 2>/dev/null || true; } | awk '/^-P FORWARD/ { print $3 }' >"$state/before/$tool"
    done
  fi
  # Ports are published by the kernel's rules, not by a process of each port: more than twice as fast on loopback.
  setsid nohup dockerd --host "$DOCKER_HOST" --data-root "$state/data" --exec-root "$state/exec" --pidfile "$pidfile" \
    --log-level warn --userland-proxy=false --ip 127.0.0.1 \
    --default-network-opt bridge=com.docker.network.bridge.host_binding_ipv4=127.0.0.1 \
    >"$state/log/dockerd.log" 2>&1 </dev/null &
  local started=$! tries
  for ((tries = 0; tries < 300; tries++)); do
    if answers; then
      say "Docker engine started (pid $started)."
      return
    fi
    kill -0 "$started" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 20 "$state/log/dockerd.log" >&2
  kill -TERM "$started" 2>/dev/null || true
  die "the Docker engine did not start; all it said is in $state/log/dockerd.log"
}

# Removes the engine's rules and chains from a table, one by one: others may have added theirs meanwhile.
clean_table() {
  local tool=$1 table=$2 rule chain
  while IFS= read -r rule; do
    read -ra words <<<"${rule/#-A/-D}"
    "$tool" -t "$table" "${words[@]}" 2>/dev/null || true
  done < <("$tool" -t "$table" -S 2>/dev/null | grep -E '^-A (PREROUTING|INPUT|OUTPUT|POSTROUTING|FORWARD) ' | grep -E 'DOCKER|docker0|br-[0-9a-f]{12}' || true)
  local chains
  chains=$("$tool" -t "$table" -S 2>/dev/null | awk '/^-N DOCKER/ { print $2 }' || true)
  for chain in $chains; do "$tool" -t "$table" -F "$chain" || true; done
  for chain in $chains; do "$tool" -t "$table" -X "$chain" || true; done
}

down() {
  local pid tries
  if pid=$(running); then
    need_root "stopping the engine"
    local ids
    ids=$(docker ps -q 2>/dev/null || true)
    # One word each.
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker stop -t 5 $ids >/dev/null 2>&1 || true
    docker network prune -f >/dev/null 2>&1 || true
    kill -TERM "$pid"
    for ((tries = 0; tries < 300; tries++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then die "the Docker engine (pid $pid) did not stop within 30 seconds."; fi
    say "Docker engine stopped."
  fi
  rm -f "$socket" "$pidfile"
  [ -f "$state/before/ip_forward" ] || return 0
  need_root "undoing the engine's changes of the network"
  local tool bridge table
  for bridge in $(ip -o link show type bridge 2>/dev/null | awk -F': ' '{ print $2 }' | grep -E '^(docker0|br-[0-9a-f]{12})$' || true); do
    ip link del "$bridge" 2>/dev/null || true
  done
  umount "$state/exec/netns/default" 2>/dev/null || true
  for tool in iptables ip6tables; do
    command -v "$tool" >/dev/null || continue
    for table in filter nat; do clean_table "$tool" "$table"; done
    [ ! -s "$state/before/$tool" ] || "$tool" -P FORWARD "$(cat "$state/before/$tool")" || true
  done
  cat "$state/before/ip_forward" >/proc/sys/net/ipv4/ip_forward
  rm -rf "$state/before"
}

case ${1:-} in
up) up ;;
down) down ;;
env) environment ;;
run)
  shift
  [ $# -gt 0 ] || die "engine.sh run: name the command to run."
  if running >/dev/null; then was_running=1; else was_running=0; fi
  [ "$was_running" = 1 ] || trap down EXIT
  up
  eval "$(environment)"
  code=0
  "$@" || code=$?
  exit "$code"
  ;;
purge)
  down
  rm -rf "$state"
  say "Removed $state."
  ;;
*)
  sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//' >&2
  exit 2
  ;;
esac
