# SPDX-License-Identifier: Apache-2.0
"""The programs of the control plane: kube-apiserver, built from its Go modules, and etcd, from Debian's package.

Both lie in the cache of the test nodes, by version. The build takes some eight minutes of processor time.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

from tests.nodes import cache
from tests.nodes.apt import PackageSource
from tests.nodes.commands import run, search_path
from tests.nodes.errors import NodeError
from tests.nodes.progress import say

_MODULE = Path(__file__).parent / "server"
# This suite's etcd is one program without libraries, which runs on every Debian.
_ETCD_SUITE = "trixie"
_BUILD_SECONDS = 3600


def unavailable() -> str:
    """Why there can be no API server here; empty when there can."""
    if platform.system() != "Linux" or not Path("/etc/debian_version").exists():
        return "the API server's etcd comes from Debian packages on a Debian machine"
    if shutil.which("openssl", path=search_path()) is None:
        return "the API server's certificates need openssl"
    wanted, found = _wanted_go(), _found_go()
    if found is None:
        return f"the API server is built from Go modules, which needs Go {_text(wanted)} (`go` is not installed)"
    if found < wanted:
        return f"the API server is built from Go modules, which needs Go {_text(wanted)} (found {_text(found)})"
    return ""


def version() -> str:
    """The version of Kubernetes, such as ``1.36.2``."""
    match = re.search(r"^\tk8s\.io/kubernetes v(\S+)$", (_MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise NodeError(f"{_MODULE / 'go.mod'} requires no k8s.io/kubernetes")
    return match[1]


def api_server() -> Path:
    """The program kube-apiserver."""
    parts = {
        "modules": {name: cache.file_digest(_MODULE / name) for name in ("go.mod", "go.sum")},
        "machine": platform.machine(),
        "build": cache.file_digest(Path(__file__)),
    }
    return cache.entry("kube-apiserver", parts, _build) / "kube-apiserver"


def etcd() -> Path:
    """The program etcd."""
    source = PackageSource(_ETCD_SUITE)
    parts = {"version": source.version("etcd-server"), "machine": platform.machine()}

    def unpack(folder: Path) -> None:
        (package,) = source.download([f"etcd-server={parts['version']}"], folder)
        run(["dpkg-deb", "--extract", str(package), str(folder / "root")])
        package.unlink()

    return cache.entry("etcd", parts, unpack) / "root" / "usr" / "bin" / "etcd"


def _build(folder: Path) -> None:
    number = version()
    say(f"kube-apiserver {number}: building it from its modules (eight minutes of processor time)")
    _, minor, _ = number.split(".")
    base = "k8s.io/component-base/version"
    stamps = {"gitVersion": f"v{number}", "gitMajor": "1", "gitMinor": minor, "gitTreeState": "archive"}
    flags = " ".join(["-s", "-w", *(f"-X {base}.{name}={value}" for name, value in stamps.items())])
    target = folder / "kube-apiserver"
    run(
        ["go", "build", "-trimpath", "-ldflags", flags, "-o", str(target), "k8s.io/kubernetes/cmd/kube-apiserver"],
        cwd=_MODULE,
        env={"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        timeout=_BUILD_SECONDS,
    )


def _wanted_go() -> tuple[int, ...]:
    match = re.search(r"^go (\d+)\.(\d+)", (_MODULE / "go.mod").read_text(), re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else (1, 0)


def _found_go() -> tuple[int, ...] | None:
    program = shutil.which("go", path=search_path())
    if program is None:
        return None
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    match = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _text(number: tuple[int, ...]) -> str:
    return ".".join(map(str, number))
