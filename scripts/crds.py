# SPDX-License-Identifier: Apache-2.0
"""Write the custom resource definitions to ``daemon/crds``: ``python -m scripts.crds``."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from scripts.collection import ROOT
from varmor.policy.crd import definitions

FOLDER = ROOT / "daemon" / "crds"

_HEAD = """# SPDX-License-Identifier: Apache-2.0
# Made by `python -m scripts.crds` from daemon/src/varmor/policy/schema*.py.
"""


def files() -> dict[Path, str]:
    """What the files are to hold."""
    return {
        FOLDER / f"{made['spec']['names']['plural']}.yaml": _HEAD + yaml.safe_dump(made, sort_keys=False, width=120)
        for made in definitions()
    }


def main() -> int:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
