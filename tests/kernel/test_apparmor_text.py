# SPDX-License-Identifier: Apache-2.0
"""The generated AppArmor text in a real kernel: attacks are stopped, their neighbours work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.manifests import profile

_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_REMOVE = Path("/sys/kernel/security/apparmor/.remove")
_PARSER = shutil.which("apparmor_parser", path="/usr/sbin:/sbin") or ""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="loading a profile needs root"),
    pytest.mark.skipif(not _PARSER, reason="apparmor_parser is not installed"),
    pytest.mark.skipif(
        not _ENABLED.exists() or not Path("/sys/kernel/security/apparmor").exists(),
        reason="this kernel has no AppArmor",
    ),
]

# The child takes the profile at its next exec, as container runtimes do it.
_LAUNCHER = """
import os, sys
with open("/proc/self/attr/exec", "w") as attribute:
    attribute.write("exec " + sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""

Run = Callable[..., subprocess.CompletedProcess[str]]

RULES: dict[str, Any] = {
    "hardeningRules": [
        "disallow-write-core-pattern",
        "disallow-mount",
        "disable-cap-privileged",
        "disable-cap-net-raw",
    ],
    "attackProtectionRules": [{"rules": ["disable-write-etc", "mitigate-sa-leak", "disable-shell"]}],
}


def _load(text: str) -> None:
    done = subprocess.run([_PARSER, "-K", "-r"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def confined() -> Iterator[Callable[..., Run]]:
    """Load the profile of a policy and get a way to run programs under it."""
    loaded: set[str] = set()

    def load(**values: Any) -> Run:
        made = profile(**values)
        assert made.apparmor is not None
        _load(made.apparmor)
        loaded.add(made.name)

        def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["/usr/bin/python3", "-S", "-E", "-c", _LAUNCHER, made.name, *command],
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )

        return run

    yield load
    for name in loaded:
        _REMOVE.write_text(name, encoding="ascii")


# One interpreter for many attempts: starting one takes a second in an emulated guest.
_ATTEMPTS = """
import errno, json, os, socket, sys
outcome = {}
for name, code in json.load(sys.stdin).items():
    try:
        exec(code)
        outcome[name] = ""
    except OSError as error:
        outcome[name] = errno.errorcode[error.errno]
print(json.dumps(outcome))
"""


def _outcomes(run: Run, attempts: dict[str, str]) -> dict[str, str]:
    """Run pieces of Python under the profile; the name of the error that each ends with, empty without one."""
    done = run("/usr/bin/python3", "-c", _ATTEMPTS, stdin=json.dumps(attempts))
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


def _outcome(run: Run, code: str) -> str:
    return _outcomes(run, {"": code})[""]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory for everyone, with a service account as Kubernetes mounts it."""
    account = Path("/run/secrets/kubernetes.io/serviceaccount")
    dated = account / "..2026_01_01"
    dated.mkdir(parents=True, exist_ok=True)
    (dated / "token").write_text("secret", encoding="utf-8")
    for link, target in (("..data", "..2026_01_01"), ("token", "..data/token")):
        if not (account / link).is_symlink():
            (account / link).symlink_to(target)
    return tmp_path


def test_attacks_and_neighbours(confined: Callable[..., Run], place: Path) -> None:
    run = confined(**RULES, auditViolations=True)
    attacks = {
        "write": "open('/etc/evil', 'w')",
        "append": "open('/etc/hosts', 'a')",
        "remove": "os.unlink('/etc/hosts')",
        "rename in": f"open('{place}/x', 'w').close(); os.rename('{place}/x', '/etc/x')",
        "rename away": f"os.rename('/etc/hosts', '{place}/hosts')",
        "rename the directory": "os.rename('/etc', '/etc2')",
        "make a directory": "os.mkdir('/etc/d')",
        "link in": f"open('{place}/y', 'w').close(); os.link('{place}/y', '/etc/y')",
        "symlink in": "os.symlink('/x', '/etc/z')",
        "change the mode": "os.chmod('/etc/hosts', 0o777)",
        "change the owner": "os.chown('/etc/hosts', 1, 1)",
        "truncate": "os.truncate('/etc/hosts', 0)",
        "token": "open('/run/secrets/kubernetes.io/serviceaccount/token').read()",
        "token by its date": "open('/run/secrets/kubernetes.io/serviceaccount/..2026_01_01/token').read()",
        "token by /var/run": "open('/var/run/secrets/kubernetes.io/serviceaccount/token').read()",
        "token by /proc": "open('/proc/self/root/run/secrets/kubernetes.io/serviceaccount/..data/token').read()",
        "core pattern": "open('/proc/sys/kernel/core_pattern', 'w')",
        "packet socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "host name": "socket.sethostname('evil')",
        "shell": "os.execv('/bin/sh', ['sh', '-c', 'true'])",
        "another shell": "os.posix_spawn('/bin/bash', ['bash', '-c', 'true'], {})",
        "copy a shell": "open('/bin/dash', 'rb').read()",
    }
    outcomes = _outcomes(run, attacks)
    assert {name: error for name, error in outcomes.items() if error not in ("EACCES", "EPERM")} == {}
    assert run("/bin/mount", "-t", "tmpfs", "x", str(place)).returncode != 0
    assert run("/bin/mount", "-o", "remount,ro", "/run").returncode != 0
    assert not Path("/etc/evil").exists()

    neighbours = {
        "read": "open('/etc/passwd').read()",
        "list": "os.listdir('/etc')",
        "write elsewhere": f"open('{place}/etc', 'w').write('x')",
        "link elsewhere": f"os.link('{place}/etc', '{place}/etc3')",
        "read core pattern": "open('/proc/sys/kernel/core_pattern').read()",
        "tcp": "socket.socket().close()",
        "other secrets": "os.makedirs('/run/secrets/mine', exist_ok=True); os.listdir('/run/secrets/mine')",
        "allowed capability": f"os.chown('{place}/etc', 1, 1)",
        "own files in proc": "open('/proc/self/oom_score_adj', 'w').write('10')",
    }
    assert {name: error for name, error in _outcomes(run, neighbours).items() if error} == {}
    assert run("/bin/ls", "/etc").returncode == 0


def test_a_hard_link_to_a_protected_file_gains_nothing(confined: Callable[..., Run]) -> None:
    # A link outside /etc would carry the file out of the rule's reach.
    source, link = Path("/etc/varmor-test-target"), Path("/etc2-varmor-test-link")
    source.write_text("safe", encoding="utf-8")
    try:
        run = confined(**RULES)
        code = f"os.link('{source}', '{link}'); open('{link}', 'w').write('evil')"
        assert _outcome(run, code) in ("EACCES", "EPERM")
        assert source.read_text(encoding="utf-8") == "safe"
    finally:
        source.unlink()
        link.unlink(missing_ok=True)


def test_runtime_default(confined: Callable[..., Run]) -> None:
    run = confined(mode="RuntimeDefault")
    refused = (
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/kernel/domainname",
        "/proc/sys/kernel/threads-max",
        "/proc/sys/kernel/seccomp/actions_logged",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_seqnum",
        "/sys/power/state",
    )
    allowed = ("/proc/sys/kernel/shmmax", "/proc/sys/kernel/sem")
    paths = [path for path in (*refused, *allowed) if Path(path).exists()]
    outcomes = _outcomes(run, {path: f"open({path!r}, 'w')" for path in paths})
    assert outcomes == {path: "" if path in allowed else "EACCES" for path in paths}
    assert run("/bin/sh", "-c", "true").returncode == 0
    assert run("/bin/mount", "-t", "tmpfs", "x", "/mnt").returncode != 0


def test_core_pattern_in_another_procfs(confined: Callable[..., Run], place: Path) -> None:
    elsewhere = place / "proc"
    elsewhere.mkdir()
    run = confined(**RULES, privileged=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(elsewhere)], check=True)
    try:
        assert _outcome(run, f"open('{elsewhere}/sys/kernel/core_pattern', 'w')") == "EACCES"
    finally:
        subprocess.run(["umount", str(elsewhere)], check=True)


def test_observation_lets_pass_and_keeps_the_runtime_default(confined: Callable[..., Run]) -> None:
    run = confined(**RULES, auditViolations=True, allowViolations=True)
    assert _outcome(run, "os.posix_spawn('/bin/sh', ['sh', '-c', 'true'], {})") == ""
    assert _outcome(run, "open('/etc/varmor-observed', 'w'); os.unlink('/etc/varmor-observed')") == ""
    assert _outcome(run, "socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()") == ""
    assert _outcome(run, "open('/proc/sys/kernel/core_pattern', 'w')") == "EACCES"
    assert run("/bin/mount", "-t", "tmpfs", "x", "/mnt").returncode != 0


def test_always_allow_allows(confined: Callable[..., Run], place: Path) -> None:
    run = confined(mode="AlwaysAllow")
    assert run("/bin/mount", "-t", "tmpfs", "x", str(place)).returncode == 0
    assert run("/bin/umount", str(place)).returncode == 0
    assert _outcome(run, "open('/proc/sys/kernel/core_pattern', 'a')") == ""


def test_raw_rules(confined: Callable[..., Run], place: Path) -> None:
    run = confined(privileged=True, appArmorRawRules=[{"rules": f"deny {place}/{{a,b}} w,"}])
    assert _outcome(run, f"open('{place}/a', 'w')") == "EACCES"
    assert _outcome(run, f"open('{place}/c', 'w')") == ""
