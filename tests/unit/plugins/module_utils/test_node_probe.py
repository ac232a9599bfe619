# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

LSM = "lockdown,capability,landlock,yama,apparmor,tomoyo,bpf"
FILES = {
    "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
    "run/systemd/system/.keep": "",
    "sys/kernel/security/lsm": LSM,
    "sys/module/apparmor/parameters/enabled": "Y\n",
    "sys/kernel/btf/vmlinux": "BTF",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    "proc/sys/kernel/seccomp/actions_avail": "kill_process kill_thread trap errno user_notif trace log allow\n",
    "var/lib/dpkg/status": "Package: zlib1g\nStatus: install ok installed\nVersion: 1.2\n\n"
    "Package: varmor\nStatus: install ok installed\nDescription: confinement\n More: words\nVersion: 0.1.0+1\n\n",
}


def write(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path, name, text)
    return tmp_path


def probe(root: Path) -> Any:
    return importlib.import_module("ansible_collections.varmor.fleet.plugins.module_utils.node_probe").NodeProbe(
        str(root)
    )


def test_a_debian_node_offers_everything(node: Path) -> None:
    report = probe(node).report()
    assert report["os"] == {"id": "debian", "version": "12", "codename": "bookworm"}
    assert report["systemd"] is True
    assert report["lsm"] == LSM.split(",")
    assert report["enforcers"] == {name: {"ok": True, "reason": ""} for name in ("AppArmor", "BPF", "Seccomp")}
    assert report["package"] == "0.1.0+1"
    assert report["runtimes"] == {}


def test_an_empty_machine_is_described_without_a_fault(tmp_path: Path) -> None:
    report = probe(tmp_path).report()
    assert report["systemd"] is False
    assert report["package"] == ""
    assert not any(enforcer["ok"] for enforcer in report["enforcers"].values())


@pytest.mark.parametrize(
    ("name", "text", "enforcer", "reason"),
    [
        ("sys/kernel/security/lsm", "landlock,yama", "AppArmor", "boot with lsm=landlock,yama,apparmor on the kernel"),
        ("sys/kernel/security/lsm", "landlock,yama", "BPF", "boot with lsm=landlock,yama,bpf on the kernel"),
        ("sys/kernel/security/lsm", "", "BPF", "mount securityfs"),
        ("sys/module/apparmor/parameters/enabled", None, "AppArmor", "built without AppArmor"),
        ("sys/kernel/btf/vmlinux", None, "BPF", "CONFIG_DEBUG_INFO_BTF"),
        ("sys/fs/cgroup/cgroup.controllers", None, "BPF", "not cgroup v2"),
        ("proc/sys/kernel/seccomp/actions_avail", None, "Seccomp", "without seccomp filters"),
        ("proc/sys/kernel/seccomp/actions_avail", "trap errno allow", "Seccomp", "lacks the seccomp actions log"),
    ],
)
def test_what_is_missing_is_named(node: Path, name: str, text: str | None, enforcer: str, reason: str) -> None:
    if text is None:
        (node / name).unlink()
    else:
        write(node, name, text)
    found = probe(node).report()["enforcers"][enforcer]
    assert not found["ok"]
    assert reason in found["reason"]


def test_runtimes_and_their_settings(node: Path) -> None:
    for program in ("usr/sbin/runc", "usr/bin/containerd", "usr/sbin/dockerd"):
        write(node, program, "#!", 0o755)
    write(
        node,
        "etc/containerd/config.toml",
        '[x.options]\n  BinaryName = "/usr/bin/kata"\n  # BinaryName = "/no"\n  BinaryName = ""\n',
    )
    write(node, "etc/docker/daemon.json", '{"log-driver": "journald"}')
    write(node, "proc/7/comm", "containerd-shim\n")
    write(node, "proc/7/environ", "PATH=/shim\0")
    write(node, "proc/8/comm", "containerd\n")
    write(node, "proc/8/environ", "LANG=C\0PATH=/usr/sbin:/usr/bin\0")
    assert probe(node).runtimes() == {
        "runc": {"path": "/usr/sbin/runc"},
        "containerd": {
            "path": "/usr/bin/containerd",
            "explicit_runtimes": ["/usr/bin/kata"],
            "search_path": ["/usr/sbin", "/usr/bin"],
        },
        "dockerd": {"path": "/usr/sbin/dockerd", "settings": {"log-driver": "journald"}},
    }


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "expected an object")])
def test_broken_docker_settings_are_an_error(node: Path, text: str, said: str) -> None:
    write(node, "usr/bin/dockerd", "#!", 0o755)
    write(node, "etc/docker/daemon.json", text)
    with pytest.raises((TypeError, ValueError), match=said):
        probe(node).runtimes()


def test_a_removed_package_is_not_installed(node: Path) -> None:
    write(node, "var/lib/dpkg/status", "Package: varmor\nStatus: deinstall ok config-files\nVersion: 0.1.0\n")
    assert probe(node).package_version("varmor") == ""
