# SPDX-License-Identifier: Apache-2.0
"""The root file system of a test node: Debian packages by mmdebstrap, then the node's own few files."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.nodes.apt import PackageSource
from tests.nodes.cache import entry
from tests.nodes.commands import run
from tests.nodes.kernel import Kernel
from tests.nodes.progress import say

# What a plain container host has. The product's own dependencies are left out on purpose: its role must bring them.
PACKAGES = (
    "apparmor",
    "busybox-static",
    "ca-certificates",
    "containerd",
    "dbus",
    "iproute2",
    "iptables",
    "kmod",
    "nginx",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "runc",
    "systemd-sysv",
    "udev",
)
_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
)
_NETWORK = """[Match]
Name=eth0

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
_SSHD = "UseDNS no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"


def package_root(suite: str) -> tuple[Path, dict[str, str]]:
    """The unpacked and configured packages of ``suite`` (a folder in the cache), and their names and versions."""
    source = PackageSource(suite)
    versions = source.resolve(["?essential", "?priority(required)", "apt", *PACKAGES])
    parts = {"suite": suite, "packages": versions, "command": _bootstrap_command(source, Path("/target"))}

    def build(folder: Path) -> None:
        say(f"image: installing {len(versions)} packages by mmdebstrap (about a minute)")
        run(_bootstrap_command(source, folder / "root"), timeout=1200)

    return entry(f"rootfs-{suite}", parts, build) / "root", versions


def _bootstrap_command(source: PackageSource, target: Path) -> list[str]:
    left_out = ("man/*", "doc/*", "locale/*", "info/*")
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=directory"]
    argv += ["--components=main", f"--include={','.join(PACKAGES)}"]
    argv += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"']
    argv += [f"--aptopt={line}" for line in _acquire_settings()]
    argv += [f"--dpkgopt=path-exclude=/usr/share/{pattern}" for pattern in left_out]
    return [*argv, "--dpkgopt=force-unsafe-io", source.suite.partition("-")[0], str(target), *source.source_lines]


def _acquire_settings() -> list[str]:
    """The machine's own way to its mirror (proxy, checks of dates), for the time of the build."""
    dump = run(["apt-config", "dump"])
    return [line for line in dump.splitlines() if line.startswith(("Acquire::http", "Acquire::Check-"))]


def customise(root: Path, kernel: Kernel, public_key: str, images: Path, machine_id: str) -> None:
    """Turn the packages' root into a node's: kernel modules, network, ssh, images, and no sources for apt."""
    modules = root / "usr/lib/modules" / kernel.release
    shutil.copytree(kernel.modules, modules, symlinks=True)
    (root / "opt/images").mkdir()
    for path in images.glob("*.tar"):
        shutil.copyfile(path, root / "opt/images" / path.name)
    _write(root / "root/.ssh/authorized_keys", public_key, 0o600)
    (root / "root/.ssh").chmod(0o700)
    _write(root / "etc/ssh/sshd_config.d/00-test-node.conf", _SSHD)
    _write(root / "etc/systemd/network/10-eth0.network", _NETWORK)
    _write(root / "etc/fstab", "# / is mounted by the initial RAM disk\n")
    _write(root / "etc/hostname", "node\n")
    _write(root / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 node\n")
    _write(root / "etc/machine-id", machine_id + "\n")
    # The node has no way out: a name server that refuses at once is better than one that never answers.
    _write(root / "etc/resolv.conf", "nameserver 127.0.0.1\n")
    _units(root / "etc/systemd/system")
    _forget_apt(root)


def _units(folder: Path) -> None:
    for name in _MASKED:
        path = folder / name
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/null")
    wants = folder / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "nginx.service").unlink(missing_ok=True)
    network = wants / "systemd-networkd.service"
    network.unlink(missing_ok=True)
    network.symlink_to("/lib/systemd/system/systemd-networkd.service")


def _forget_apt(root: Path) -> None:
    (root / "etc/apt/sources.list").write_text("# a test node reaches no mirror\n")
    for path in [*(root / "etc/apt/sources.list.d").glob("*"), *(root / "etc/apt/apt.conf.d").glob("99mmdebstrap")]:
        path.unlink()
    for path in (root / "var/lib/apt/lists").glob("*_*"):
        path.unlink()
    for path in (root / "var/cache/apt").glob("*.bin"):
        path.unlink()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def pack(root: Path, disk: Path, size: str) -> None:
    """Write the folder as a sparse ext4 image of ``size`` (``4G``), without a loop mount."""
    run(
        [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-E",
            "lazy_itable_init=1,root_owner=0:0",
            "-d",
            str(root),
            str(disk),
            size,
        ]
    )
