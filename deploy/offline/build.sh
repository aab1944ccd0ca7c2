#!/usr/bin/env bash
# Builds stand-ins for the public images that this project uses, under the same tags, from package registries alone (Debian, npm,
# Maven Central): for a machine that reaches no registry of images. Tags that are there already are left alone. They are for tests
# on this machine: never push them. Root is needed for the first one (debootstrap).
#
#   deploy/offline/build.sh            what docker-compose.yml and Dockerfile name
#   deploy/offline/build.sh TAG...     these, as in redis:8.2
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=deploy/offline/common.sh
. "$here/common.sh"

docker version >/dev/null 2>&1 || die "no Docker answers. Start one: deploy/offline/engine.sh up"
work=$(mktemp -d "${TMPDIR:-/tmp}/tributary-images-XXXXXX")
trap 'rm -rf "$work"' EXIT

is_here() { docker image inspect "$1" >/dev/null 2>&1; }

# context <name>: a build context of its own with the files of images/<name>.
context() {
  mkdir -p "$work/$1"
  cp -R "$here/images/$1/." "$work/$1/"
  printf '%s\n' "$work/$1"
}

# build <tag> <context> [arguments]
build() {
  local tag=$1 folder=$2
  shift 2
  run "building $tag" nice -n 10 docker build --tag "$tag" "$@" "$folder"
}

# The certificates of a bundle, one a line.
certificates() {
  awk '/BEGIN CERTIFICATE/ { text = ""; inside = 1; next } /END CERTIFICATE/ { if (inside) print text; inside = 0 } inside { text = text $0 }' "$@"
}

# Debian of the tag's release. Certificates that this machine trusts beyond Debian's own (a proxy's, say) go in too, so that
# package managers work in builds as they do here.
debian() {
  local tag=$1 suite=${1#*:} tree=$work/debian own=/etc/ssl/certs/ca-certificates.crt number=0 text
  suite=${suite%-slim}
  need_root "debootstrap"
  command -v debootstrap >/dev/null || {
    need_apt "debootstrap"
    run "apt-get install" apt-get install -y -qq --no-install-recommends debootstrap
  }
  run "debootstrap of $suite" nice -n 10 debootstrap --variant=minbase --include=ca-certificates "$suite" "$tree" "$(debian_mirror)"
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,info,locale}/* "$tree"/var/log/*.log
  if [ -f "$own" ]; then
    while IFS= read -r text; do
      number=$((number + 1))
      { echo "-----BEGIN CERTIFICATE-----"; fold -w 64 <<<"$text"; echo "-----END CERTIFICATE-----"; } >"$tree/usr/local/share/ca-certificates/machine-$number.crt"
    done < <(certificates "$own" | grep -vxFf <(certificates "$tree"/usr/share/ca-certificates/mozilla/*.crt) || true)
    run "update-ca-certificates" chroot "$tree" update-ca-certificates
  fi
  tar -C "$tree" --numeric-owner -c . |
    docker import -c 'CMD ["bash"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$tag" >/dev/null
  rm -rf "$tree"
}

node() {
  local tag=$1 version=${1#*:} folder platform
  folder=$(context node)
  case $(uname -m) in
  x86_64) platform=linux-x64 ;;
  aarch64) platform=linux-arm64 ;;
  *) die "there is no Node for $(uname -m) on npm." ;;
  esac
  mkdir -p "$work/npm" "$folder/root/bin" "$folder/root/lib/node_modules"
  echo '{ "private": true }' >"$work/npm/package.json"
  run "npm install of Node" npm install --prefix "$work/npm" --ignore-scripts --no-audit --no-fund "node-$platform@${version%%-*}" npm@11
  cp "$work/npm/node_modules/node-$platform/bin/node" "$folder/root/bin/"
  cp -R "$work/npm/node_modules/npm" "$folder/root/lib/node_modules/"
  build "$tag" "$folder" --build-arg "DEBIAN=debian:${version#*-}"
}

kafka() {
  local tag=$1 version=${1#*:} jars=$cache/images/kafka-${1#*:} folder
  folder=$(context kafka)
  command -v mvn >/dev/null || die "Maven (mvn), which fetches Kafka, is not installed."
  if [ ! -d "$jars" ]; then
    mkdir -p "$work/jars" "$cache/images"
    run "Maven's fetch of Kafka" mvn -B -q -ntp -f "$folder/pom.xml" dependency:copy-dependencies \
      "-Dkafka.version=$version" -DincludeScope=runtime "-DoutputDirectory=$work/jars"
    mv "$work/jars" "$jars"
  fi
  cp -R "$jars" "$folder/libs"
  build "$tag" "$folder"
}

registry() {
  local tag=$1 version=${1#*:} folder program=$cache/apicurio-${1#*:}
  folder=$(context registry)
  command -v mvn >/dev/null || die "Maven (mvn), which fetches the registry, is not installed."
  # The same folder in which the tests of libs/schema-registry keep it.
  if [ ! -d "$program" ]; then
    mkdir -p "$work/apicurio" "$cache"
    # This version of the plugin does not ask for the artifact's parent, which is not published.
    run "Maven's fetch of the registry" mvn -B -q -ntp org.apache.maven.plugins:maven-dependency-plugin:2.8:get -Dtransitive=false \
      "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all" "-Ddest=$work/apicurio.tar.gz"
    tar -xzf "$work/apicurio.tar.gz" -C "$work/apicurio"
    mv "$work/apicurio" "$program"
  fi
  cp -R "$program" "$folder/program"
  build "$tag" "$folder"
}

# The engine inside npm's chdb, of the version that the embedded server has.
clickhouse() {
  local manifest=$root/libs/clickhouse/package.json name versions=()
  for name in chdb ffi-rs; do
    versions+=("$name@$(sed -n "s/.*\"$name\": \"\(.*\)\".*/\1/p" "$manifest")")
  done
  build "$1" "$(context clickhouse)" --build-arg "PACKAGES=${versions[*]}"
}

make() {
  local tag=$1 started=$SECONDS
  is_here "$tag" && return
  case $tag in
  debian:*) debian "$tag" ;;
  node:*)
    make "debian:${tag#*-}"
    node "$tag"
    ;;
  redis:*)
    make debian:bookworm-slim
    build "$tag" "$(context redis)"
    ;;
  apache/kafka:*)
    make debian:bookworm-slim
    kafka "$tag"
    ;;
  apicurio/apicurio-registry:*)
    make debian:bookworm-slim
    registry "$tag"
    ;;
  clickhouse/clickhouse-server:*)
    make node:24-bookworm-slim
    clickhouse "$tag"
    ;;
  *) die "there is no stand-in for $tag." ;;
  esac
  say "built a stand-in for $tag in $((SECONDS - started)) s"
}

if [ $# -eq 0 ]; then
  mapfile -t tags < <(
    sed -n 's/^FROM \([a-z]*:[a-z0-9.-]*\).*/\1/p' "$root/Dockerfile"
    sed -n 's/^ *image: \([a-z/-]*:[a-z0-9.-]*\)$/\1/p' "$root/docker-compose.yml"
  )
  set -- "${tags[@]}"
fi
for tag in "$@"; do make "$tag"; done
