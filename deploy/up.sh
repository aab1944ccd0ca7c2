#!/usr/bin/env bash
# Starts the platform: checks what it needs, makes .env if there is none, gets or builds the images, starts everything and waits
# until all of it is healthy. Run it again after any change; it changes what is different and leaves the rest running.
#
#   ./deploy/up.sh                            everything, two workers of each kind
#   ./deploy/up.sh --scale source=3           arguments go to `docker compose up`
#   COMPOSE_FILE=docker-compose.yml:docker-compose.host.yml ./deploy/up.sh
#
# A check that fails leaves nothing behind. So does a first start that fails; a later one leaves what was running, to look at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# GiB that the containers use with little to do, with some room; their limits together are higher.
needed_memory=${UP_MEMORY:-3}
# GiB for the images and the first data.
needed_disk=5
# Longest start in seconds, images not counted.
longest=${UP_TIMEOUT:-300}

say() { printf '%s\n' "$*" >&2; }
problems=()
problem() { problems+=("$*"); }
stop_if_problems() {
  [ ${#problems[@]} -eq 0 ] && return
  for text in "${problems[@]}"; do say "error: $text"; done
  say "Nothing was started."
  exit 1
}

# at_least 26.1.5 25.0
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_docker() {
  local said version
  if ! command -v docker >/dev/null; then
    problem "the command docker is not here. Install Docker (https://docs.docker.com/engine/install/)."
  elif ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
    case $said in
    *"permission denied"*) problem "this user may not use Docker. Add it to the group docker, or run this as root." ;;
    *) problem "Docker is not running ($(tail -n 1 <<<"$said")). Start it: Docker Desktop, or systemctl start docker." ;;
    esac
  else
    version=${said%%[+-]*}
    at_least "$version" 25.0 || problem "Docker $version is too old. Expected 25.0 or later."
    version=$(docker compose version --short 2>/dev/null || true)
    if [ -z "$version" ]; then
      problem "Docker has no compose. Install its plugin (https://docs.docker.com/compose/install/)."
    else
      at_least "${version#v}" 2.24.4 || problem "docker compose $version is too old. Expected 2.24.4 or later."
    fi
  fi
  stop_if_problems
}

check_machine() {
  local memory processors folder free
  read -r memory processors < <(docker info --format '{{.MemTotal}} {{.NCPU}}')
  [ "$memory" -ge $((needed_memory * 1024 ** 3)) ] ||
    problem "Docker has $((memory / 1024 ** 2)) MiB of memory. Expected $needed_memory GiB or more; Docker Desktop has it in its settings."
  # More than there are is refused by Docker.
  local asked
  asked=$(docker compose config | sed -nE 's/^ *cpus: "?([0-9.]+)"?$/\1/p' | sort -n | tail -n 1)
  awk -v asked="${asked:-0}" -v there="$processors" 'BEGIN { exit !(asked <= there) }' ||
    problem "Docker has $processors processor(s), and a container is to have $asked. Set KAFKA_CPUS, CLICKHOUSE_CPUS and LOAD_CPUS in .env to $processors."
  folder=$(docker info --format '{{.DockerRootDir}}')
  if [ -d "$folder" ]; then
    free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge $((needed_disk * 1024 ** 2)) ] ||
      problem "$folder, where Docker keeps its data, has $((free / 1024)) MiB left. Expected $needed_disk GiB or more; docker system df shows what can go."
  fi
}

# Ports that would be published, and those of the machine's own network, are free unless our own containers have them.
check_ports() {
  local ours port name
  ours=$(docker compose ps --quiet 2>/dev/null || true)
  [ -z "$ours" ] || return 0
  for port in $(docker compose config | sed -nE -e 's/^ *published: "([0-9]+)"$/\1/p' \
    -e 's/^ *(KAFKA_ADVERTISED_LISTENERS|TRIBUTARY_HTTP): (INTERNAL:\/\/)?127\.0\.0\.1:([0-9]+)$/\3/p' \
    -e 's/^ *(REDIS_PORT|CLICKHOUSE_HTTP_PORT|CLICKHOUSE_TCP_PORT|REGISTRY_HTTP_PORT): "([0-9]+)"$/\2/p' | sort -nu); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      name=$(cat .env .env.example | sed -nE "s/^#? *([A-Z0-9_]+_PORT)=$port$/\1/p" | head -n 1)
      problem "port $port of 127.0.0.1 is taken by another program. End it, or set ${name:-the port} in .env to a free one."
    fi
  done
}

check_images() {
  local image said missing=()
  # One that is named comes from a registry.
  if [ -z "${TRIBUTARY_IMAGE:-}" ] && ! grep -q '^TRIBUTARY_IMAGE=.' .env; then
    say "Building the image of the services ..."
    if ! said=$(docker compose build --quiet 2>&1); then
      say "$said"
      problem "the image could not be built (see above). Where no registry can be reached: deploy/offline/build.sh makes stand-ins for what it is made of."
    fi
  fi
  for image in $(docker compose config --images | sort -u); do
    docker image inspect "$image" >/dev/null 2>&1 || missing+=("$image")
  done
  for image in "${missing[@]+"${missing[@]}"}"; do
    say "Fetching $image ..."
    said=$(docker pull --quiet "$image" 2>&1) ||
      problem "the image $image cannot be fetched: $(tail -n 1 <<<"$said"). Check the network or log in to its registry; deploy/offline/build.sh makes a stand-in for tests."
  done
}

# What did not come up, and what it said last.
explain() {
  local name state
  while read -r name state; do
    say ""
    say "$name is $state. It said last:"
    docker logs --tail 8 "$name" >&2 2>&1 || true
    docker inspect --format '{{with .State.Health}}{{range .Log}}{{.Output}}{{end}}{{end}}' "$name" 2>/dev/null | grep -v '^$' | tail -n 1 >&2 || true
  done < <(docker compose ps --all --format '{{.Name}} {{.State}},{{.Health}},{{.ExitCode}}' | grep -Ev ' (running,healthy|running,,|exited,,0|created)' || true)
}

check_docker
./deploy/init-env.sh
if ! said=$(docker compose config --quiet 2>&1); then
  problem "$said"
  stop_if_problems
fi
check_machine
check_ports
stop_if_problems
check_images
stop_if_problems

project=$(docker compose config | sed -nE 's/^name: (.*)$/\1/p')
volumes() { docker volume ls --quiet --filter "label=com.docker.compose.project=$project"; }
had_containers=$(docker compose ps --all --quiet)
had_volumes=$(volumes)
if ! docker compose up --detach --wait --wait-timeout "$longest" --remove-orphans "$@"; then
  explain
  if [ -z "$had_containers" ]; then
    [ -n "$had_volumes" ] && keep=() || keep=(--volumes)
    docker compose down --timeout 5 "${keep[@]+"${keep[@]}"}" >/dev/null 2>&1 || true
    say ""
    say "error: the platform did not start (see above). What it had started was removed again."
  else
    say ""
    say "error: not everything is healthy (see above). It is left as it is; docker compose ps shows it."
  fi
  exit 1
fi
say ""
docker compose ps --format 'table {{.Name}}\t{{.Status}}\t{{.Ports}}'
