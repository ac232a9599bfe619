#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv on Debian's own Python: the distribution's bindings (seccomp, LibAppArmor, systemd, bcc) are compiled for it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

packages=(python3 python3-venv python3-yaml python3-seccomp python3-libapparmor python3-systemd python3-bpfcc python3-apt libbpf1 apparmor make git
  openssh-client ca-certificates)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "venv: installing Debian packages: ${missing[*]}"
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi

stamp=.venv/.requirements
wanted=$(cat requirements-dev.txt daemon/pyproject.toml | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  echo "venv: making .venv (about a minute)"
  [ -x .venv/bin/python ] || /usr/bin/python3 -m venv --system-site-packages .venv
  .venv/bin/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e daemon
  echo "$wanted" >"$stamp"
fi
.venv/bin/python -m scripts.collection
