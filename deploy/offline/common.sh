# Sourced by the scripts beside it: where things are kept, and how they say what is wrong.
# shellcheck shell=bash
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
state=$cache/docker

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# run <name of what is done> <command...>: keeps what the command says in a log, and shows its end when it fails.
run() {
  local what=$1 log=$state/log/${1//[^a-z0-9]/-}.log
  shift
  mkdir -p "$state/log"
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    die "$what failed; all it said is in $log"
  fi
}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "$1 needs root. Run it as root, or use a Docker that is there already."
}

need_apt() {
  command -v apt-get >/dev/null || die "$1 needs a system with apt (Debian 12 or newer, or a relative of it)."
}

# The Debian mirror that this machine itself installs from.
debian_mirror() {
  local found
  found=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '$1 == "URIs:" && $2 ~ /\/debian\/?$/ { print $2; exit }')
  [ -n "$found" ] || found=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /\/debian\/?$/) { print $i; exit } }' /etc/apt/sources.list 2>/dev/null || true)
  printf '%s\n' "${found:-http://deb.debian.org/debian}"
}
