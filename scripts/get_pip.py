# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the get-pip program that ansible-test downloads into its virtual environments.

It is copied into ansible-test's cache and run as ``python get_pip.py [options] REQUIREMENT...`` by a Python without
pip. It takes pip from the standard library and then installs the requirements from the configured index, so that no
further host is needed.
"""

from __future__ import annotations

import subprocess
import sys

# Options of the original program that pip itself does not know.
_OWN_OPTIONS = ("--no-setuptools", "--no-wheel")


def main(arguments: list[str]) -> int:
    """Install pip, then what was asked for; returns pip's status."""
    wanted = [argument for argument in arguments if argument not in _OWN_OPTIONS]
    # As a process of its own: ensurepip sets PIP_CONFIG_FILE for the rest of the process, and the index would be lost.
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    return subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
