# SPDX-License-Identifier: Apache-2.0
"""The checkout as the collection varmor.fleet: Ansible wants it below ``ansible_collections/varmor/fleet``.

Most tools are content with a symlink tree in ``.cache``; ansible-test resolves links and needs a copy: see
`scripts.sanity`.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
NAMESPACE, NAME = "varmor", "fleet"


def tree() -> Path:
    """Make the symlink tree and return the folder for ``ANSIBLE_COLLECTIONS_PATH``."""
    link = CACHE / "ansible_collections" / NAMESPACE / NAME
    target = Path(os.path.relpath(ROOT, link.parent))
    if not (link.is_symlink() and link.readlink() == target):
        link.parent.mkdir(parents=True, exist_ok=True)
        partial = link.with_name(f".{NAME}.{os.getpid()}")
        partial.symlink_to(target)
        partial.replace(link)
    return CACHE


def environment() -> dict[str, str]:
    """The process environment for Ansible's programs: only this collection, strict facts, ``.venv`` first."""
    return {
        **os.environ,
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(tree()),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_NOCOWS": "true",
    }


if __name__ == "__main__":
    print(tree())
