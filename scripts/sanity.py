# SPDX-License-Identifier: Apache-2.0
"""Check the collection with Ansible's tools (ansible-lint, antsibull, ansible-test), shell scripts with shellcheck.

``python -m scripts.sanity [CHECK ...]``; without a name, all of them. Runs offline after the first time.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts import collection
from scripts.collection import NAME, NAMESPACE, ROOT

PIP_CACHE = Path.home() / ".ansible" / "test" / "cache"
_STAND_IN = Path(__file__).with_name("get_pip.py")
_PIP_VERSION = re.compile(r"default_packages = dict\(\s*pip='([0-9.]+)'")
# Python that never runs inside Ansible. ruff and mypy judge it; ansible-test would by rules made for modules.
_NOT_ANSIBLE = ("bench/", "daemon/", "scripts/", "tests/")
_ANSIBLE_TESTS = ("tests/sanity/", "tests/unit/plugins/")
_SHELL = re.compile(rb"#! ?/(usr/)?bin/(env )?(ba)?sh\b")


class SanityError(Exception):
    """A check cannot be run at all."""


def run(argv: Sequence[str], cwd: Path = ROOT) -> bool:
    """Run a tool in the collection's environment; whether it passed."""
    print(f"--- {' '.join(argv)[:160]}", flush=True)
    return subprocess.run(argv, cwd=cwd, env=collection.environment(), check=False).returncode == 0


def lint() -> bool:
    """ansible-lint with the profile production, and yamllint."""
    return run(["ansible-lint", "-q", "--strict"]) and run(["yamllint", "--strict", *tracked("*.yml", "*.yaml")])


def changelog() -> bool:
    """The fragments and the changelog's configuration."""
    return run(["antsibull-changelog", "lint"])


def docs() -> bool:
    """The plugins' and roles' documentation, with all links between them."""
    tree = collection.tree() / "ansible_collections" / NAMESPACE / NAME
    options = ["--plugin-docs", "--validate-collection-refs=all", "--skip-rstcheck"]
    return run(["antsibull-docs", "lint-collection-docs", *options, str(tree)])


def shell() -> bool:
    """All shell scripts with shellcheck, also those without the suffix .sh."""
    scripts = [name for name in tracked() if is_shell_script(ROOT / name)]
    return not scripts or run(["shellcheck", *scripts])


def ansible_test() -> bool:
    """``ansible-test sanity`` in a copy: it insists on a real folder ``ansible_collections/varmor/fleet``."""
    seed_pip()
    with tempfile.TemporaryDirectory(prefix="varmor-sanity-") as scratch:
        copy = Path(scratch) / "ansible_collections" / NAMESPACE / NAME
        copy_files(ansible_files(), copy)
        version = ".".join(platform.python_version_tuple()[:2])
        return run(["ansible-test", "sanity", "--local", "--python", version, "--color", "no"], cwd=copy)


def tracked(*patterns: str) -> list[str]:
    """Files that git knows or would add, which match a pattern."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SanityError(f"git does not list the files of {ROOT}: {done.stderr.strip()}")
    return sorted(name for name in set(done.stdout.split("\0")) if name and (ROOT / name).is_file())


def is_shell_script(path: Path) -> bool:
    """Whether a file's first line names a shell."""
    if path.is_symlink():
        return False
    with path.open("rb") as stream:
        return _SHELL.match(stream.readline(200)) is not None


def ansible_files() -> list[str]:
    """The tracked files that ansible-test is to judge."""
    return [name for name in tracked() if name.startswith(_ANSIBLE_TESTS) or not name.startswith(_NOT_ANSIBLE)]


def copy_files(names: Sequence[str], target: Path) -> None:
    """Copy files of the checkout and make the copy a git repository, which is how ansible-test finds its files."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    subprocess.run(["git", "init", "-q", str(target)], check=True)


def seed_pip() -> None:
    """Put the stand-in for get-pip where ansible-test looks before it downloads the original."""
    cached = PIP_CACHE / f"get_pip_{wanted_pip().replace('.', '_')}.py"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_STAND_IN, cached)


def wanted_pip() -> str:
    """The version of pip that the installed ansible-test asks for."""
    spec = importlib.util.find_spec("ansible_test")
    if spec is None or spec.origin is None:
        raise SanityError("ansible-test is not installed: run `make venv`")
    source = Path(spec.origin).parent / "_internal" / "python_requirements.py"
    match = _PIP_VERSION.search(source.read_text())
    if match is None:
        raise SanityError(f"{source} names no version of pip: this ansible-core is newer than scripts/sanity.py knows")
    return match[1]


CHECKS: Mapping[str, Callable[[], bool]] = {
    "ansible-lint": lint,
    "changelog": changelog,
    "docs": docs,
    "shell": shell,
    "ansible-test": ansible_test,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that were named; each of them is run, also after one has failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.sanity", description="Check the collection.")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    names = parser.parse_args(arguments).checks or list(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        parser.error(f"unknown check {unknown[0]!r}; known are {', '.join(CHECKS)}")
    try:
        failed = [name for name in names if not CHECKS[name]()]
    except SanityError as error:
        print(f"sanity: {error}", file=sys.stderr)
        return 1
    print(f"sanity: {', '.join(failed)} failed" if failed else f"sanity: {', '.join(names)} passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
