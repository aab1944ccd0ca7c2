#!/usr/bin/env bash
# Makes .env from .env.example with random secrets, readable by its owner only. Secrets that are there already stay; after an
# upgrade it adds those that are new.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# 32 random bytes. The vault's key is base64; the others have to be good in any file and address.
secret() {
  case $1 in
  TRIBUTARY_VAULT_KEY) head -c 32 /dev/urandom | base64 | tr -d '\n' ;;
  *) head -c 32 /dev/urandom | base64 | tr -d '\n=' | tr '+/' '-_' ;;
  esac
}

umask 077
if [ ! -e .env ]; then
  while IFS= read -r line; do
    case $line in
    [A-Z]*=) printf '%s%s\n' "$line" "$(secret "${line%=}")" ;;
    *) printf '%s\n' "$line" ;;
    esac
  done <.env.example >.env.new
  # Whole or not at all.
  mv .env.new .env
  echo "Made .env with random secrets. Keep a copy of TRIBUTARY_VAULT_KEY in a safe place." >&2
  exit
fi

added=()
while IFS= read -r line; do
  case $line in
  [A-Z]*=)
    name=${line%=}
    if ! grep -q "^$name=." .env; then
      added+=("$name")
    fi
    ;;
  esac
done <.env.example
[ ${#added[@]} -eq 0 ] && exit
{
  # Without those lines that have no value.
  grep -vxF "$(printf '%s=\n' "${added[@]}")" .env || true
  for name in "${added[@]}"; do printf '%s=%s\n' "$name" "$(secret "$name")"; done
} >.env.new
mv .env.new .env
echo "Added to .env, with random values: ${added[*]}" >&2
