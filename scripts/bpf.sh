#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles daemon/bpf/*.bpf.c into the package, when a source has changed. The objects run on any kernel from 6.1 on (CO-RE); the compiler
# is needed here and never on a node. The same sources and compiler give the same bytes.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

packages=(clang llvm libbpf-dev)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "bpf: installing Debian packages: ${missing[*]}"
  apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi

target=$PWD/daemon/src/varmor/kernel/bpf
flags=(-target bpf -g -O2 -mcpu=v3 -Wall -Werror -fdebug-compilation-dir=.)
wanted=$(cat daemon/bpf/*.[ch] scripts/bpf.sh <(clang --version) /usr/include/bpf/bpf_*.h | sha256sum | cut -d' ' -f1)
stamps=$PWD/.cache/bpf
mkdir -p "$stamps"
cd daemon/bpf
for source in *.bpf.c; do
  object=$target/${source%.c}.o
  if [ -s "$object" ] && [ "$(cat "$stamps/${source%.bpf.c}" 2>/dev/null || true)" = "$wanted" ]; then
    continue
  fi
  echo "bpf: compiling $source"
  new=$(mktemp "$object.XXXXXX")
  trap 'rm -f "$new"' EXIT
  clang "${flags[@]}" -c "$source" -o "$new"
  llvm-strip -g "$new" # the BTF stays
  chmod 0644 "$new"
  mv "$new" "$object"
  echo "$wanted" >"$stamps/${source%.bpf.c}"
done
