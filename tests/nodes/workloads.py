# SPDX-License-Identifier: Apache-2.0
"""The container images of the test nodes, made from Debian packages: busybox, and nginx as the real workload."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from tests.nodes.apt import PackageSource
from tests.nodes.cache import entry, sources_digest
from tests.nodes.commands import run
from tests.nodes.errors import CommandError
from tests.nodes.oci import ImageConfig, Tree, write_archive

BUSYBOX = "localhost/busybox:1"
NGINX = "localhost/nginx:1"
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NGINX_ROOTS = ("nginx", "dash", "coreutils", "util-linux", "busybox-static", "grep")
# Needed by maintainer scripts, which an image unpacked from packages never runs.
_INSTALL_ONLY = frozenset(
    (
        "adduser",
        "cdebconf",
        "debconf",
        "dpkg",
        "gcc-12-base",
        "gcc-14-base",
        "init-system-helpers",
        "iproute2",
        "login",
        "login.defs",
        "lsb-base",
        "passwd",
        "perl",
        "perl-base",
        "sensible-utils",
        "systemd",
        "sysvinit-utils",
        "tar",
        "tzdata",
    )
)
_LEFT_OUT = (
    "etc/init.d",
    "etc/logrotate.d",
    "etc/pam.d",
    "etc/ufw",
    "usr/lib/systemd",
    "usr/lib/udev",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
)
_PAGE = b"<!doctype html>\n<title>nginx</title>\n<h1>Served by nginx on a test node</h1>\n"
_SITE = b"""server {
    listen 80 default_server;
    root /var/www/html;
    index index.html;
    server_name _;
    location / {
        try_files $uri $uri/ =404;
    }
}
"""


class Packages(Protocol):
    """What a closure is computed from."""

    def resolve(self, packages: Sequence[str]) -> dict[str, str]:
        """Name to version of everything below ``packages``."""

    def dependencies(self, packages: Sequence[str]) -> dict[str, list[str]]:
        """The direct dependencies of each package."""


def workload_images(suite: str) -> Path:
    """The folder with ``busybox.tar`` and ``nginx.tar``, from the cache or made now."""
    source = PackageSource(suite)
    versions = closure(source, _NGINX_ROOTS)
    parts = {"packages": versions, "scripts": sources_digest("workloads.py", "oci.py")}

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="varmor-debs-") as name:
            names = [f"{package}={version}" for package, version in versions.items()]
            data = {path.name.split("_")[0]: _data_tar(path) for path in source.download(names, Path(name))}
        write_archive(folder / "busybox.tar", busybox_tree(data["busybox-static"]), _config(BUSYBOX, ("/bin/sh",)))
        nginx = _config(NGINX, (), ("nginx", "-g", "daemon off;"), ("80/tcp",))
        write_archive(folder / "nginx.tar", nginx_tree(data), nginx)

    return entry(f"workloads-{suite}", parts, build)


def _config(
    name: str, command: tuple[str, ...], entrypoint: tuple[str, ...] = (), ports: tuple[str, ...] = ()
) -> ImageConfig:
    labels = {"org.opencontainers.image.title": name.removeprefix("localhost/").partition(":")[0]}
    return ImageConfig(name, entrypoint, command, {"PATH": _SEARCH_PATH}, labels, ports)


def busybox_tree(package: bytes) -> Tree:
    """A root with busybox under all of its names."""
    binary = _busybox_binary(package)
    tree = Tree()
    _base(tree)
    for name in ("usr", "bin"):
        tree.folder(name)
    tree.link("sbin", "bin")
    tree.link("usr/bin", "../bin")
    tree.link("usr/sbin", "../bin")
    tree.file("bin/busybox", binary, 0o755)
    for applet in _applets(binary):
        tree.link(f"bin/{applet}", "busybox")
    return tree


def nginx_tree(packages: dict[str, bytes]) -> Tree:
    """Debian's nginx with its libraries, a shell and the usual tools; busybox gives what those leave open."""
    tree = Tree()
    _base(tree)
    tree.merge_usr()
    for name in sorted(packages):
        tree.add_package(packages[name], _LEFT_OUT)
    tree.link("usr/bin/sh", "dash")
    binary = _busybox_binary(packages["busybox-static"])
    tree.file("usr/bin/busybox", binary, 0o755)
    for applet in _applets(binary):
        if not {f"usr/bin/{applet}", f"usr/sbin/{applet}"} & tree.entries.keys():
            tree.link(f"usr/bin/{applet}", "busybox")
    tree.folder("var/log/nginx")
    tree.folder("var/www/html")
    tree.file("var/www/html/index.html", _PAGE)
    tree.folder("etc/nginx/sites-enabled")
    tree.file("etc/nginx/sites-enabled/default", _SITE)
    return tree


def _base(tree: Tree) -> None:
    for name in ("dev", "etc", "home", "opt", "proc", "run", "sys", "usr", "var"):
        tree.folder(name)
    tree.folder("root", 0o700)
    tree.folder("tmp", 0o1777)
    tree.folder("var/tmp", 0o1777)
    tree.link("var/run", "/run")
    users = (
        b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
        b"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    tree.file("etc/passwd", users)
    tree.file("etc/shadow", b"root:*:19000:0:99999:7:::\n", 0o640)
    tree.file("etc/group", b"root:x:0:\nadm:x:4:\nwww-data:x:33:\nnogroup:x:65534:\n")
    tree.file("etc/hosts", b"127.0.0.1 localhost\n")
    tree.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    tree.file("etc/os-release", b'PRETTY_NAME="Debian packages in a test image"\nID=debian\n')


def _busybox_binary(package: bytes) -> bytes:
    tree = Tree()
    tree.add_package(package, ())
    return next(data for name in ("usr/bin/busybox", "usr/sbin/busybox") for data in _data_of(tree, name))


def _data_of(tree: Tree, name: str) -> Iterable[bytes]:
    if name in tree.entries:
        yield tree.entries[name][1]


def _applets(binary: bytes) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="varmor-busybox-") as name:
        path = Path(name) / "busybox"
        path.write_bytes(binary)
        path.chmod(0o755)
        return sorted(set(run([str(path), "--list"]).split()) - {"busybox"})


def _data_tar(package: Path) -> bytes:
    argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, "", done.stderr.decode(errors="replace"))
    return done.stdout


def closure(source: Packages, roots: Iterable[str]) -> dict[str, str]:
    """Name to version of the packages below ``roots``, without those that only an installation needs."""
    names = [name for name in roots if name not in _INSTALL_ONLY]
    available = source.resolve(names)
    needs = source.dependencies(sorted(available))
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name in _INSTALL_ONLY or name not in available:
            continue
        found[name] = available[name]
        waiting.extend(needs.get(name, []))
    return dict(sorted(found.items()))
