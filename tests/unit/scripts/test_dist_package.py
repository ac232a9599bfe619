# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import compileall
import subprocess
from pathlib import Path

import pytest

import varmor
from scripts import dist_package
from scripts.dist_package import PRIVATE, STARTERS, TEMPLATES, DistError
from scripts.sanity import is_shell_script


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    # The BPF object is compiled by `make bpf`; what is tested here does not depend on it.
    monkeypatch.setattr(dist_package, "BPF_OBJECT", Path("varmor/__init__.py"))


def field(package: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


def test_two_builds_give_the_same_bytes(moment: None, tmp_path: Path) -> None:
    first = dist_package.build(tmp_path / "first")
    second = dist_package.build(tmp_path / "second")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert field(first, "Version").startswith(f"{varmor.__version__}+202311142213.")


def test_content_of_a_release(moment: None, tmp_path: Path) -> None:
    package = dist_package.build(tmp_path, release=True)
    assert package.name == f"varmor_{varmor.__version__}_all.deb"
    assert "python3-systemd" in field(package, "Depends")
    tree = tmp_path / "tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    assert (tree / PRIVATE / "varmor" / "policy" / "types.py").is_file()
    assert (tree / "usr/lib/varmor/runtime/runc").readlink() == Path("/usr/bin/varmor-runc")
    assert (tree / "DEBIAN/postinst").stat().st_mode & 0o777 == 0o755
    assert not list(tree.rglob("*.pyc"))
    for name in (tree / "DEBIAN/conffiles").read_text().split():
        assert (tree / name.lstrip("/")).is_file()
    for starter in STARTERS:
        assert (tree / starter.path).stat().st_mode & 0o777 == 0o755
        assert compileall.compile_file(tree / starter.path, quiet=2, legacy=True)


def test_a_wheel_without_the_bpf_object_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dist_package, "BPF_OBJECT", Path("varmor/kernel/bpf/none.bpf.o"))
    with pytest.raises(DistError, match="run `make bpf` first"):
        dist_package.build(tmp_path)


def test_syntax_that_is_too_new_for_a_node_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fine.py").write_text("match 1:\n    case _:\n        pass\n")
    dist_package.check_syntax(tmp_path)
    (tmp_path / "new.py").write_text("\ndef f[T](x: T) -> T:\n    return x\n")
    with pytest.raises(DistError, match=r"new\.py:2: Python 3\.11 on a node does not accept it"):
        dist_package.check_syntax(tmp_path)


def test_the_digest_sees_names_modes_and_content(tmp_path: Path) -> None:
    seen = set()
    program = tmp_path / "a"
    for text, mode in (("x", 0o644), ("x", 0o755), ("y", 0o755)):
        program.write_text(text)
        program.chmod(mode)
        seen.add(dist_package.content_digest(tmp_path))
    program.rename(tmp_path / "b")
    seen.add(dist_package.content_digest(tmp_path))
    assert len(seen) == 4


def test_maintainer_scripts_are_programs() -> None:
    for name in ("postinst", "prerm", "postrm"):
        script = TEMPLATES / "debian" / name
        assert is_shell_script(script)
        assert script.stat().st_mode & 0o100
