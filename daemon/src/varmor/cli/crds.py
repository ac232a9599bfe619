# SPDX-License-Identifier: Apache-2.0
"""``varmor crds``: the custom resource definitions, ready for ``kubectl apply --server-side -f -``."""

from __future__ import annotations

import argparse
import json
import sys

import yaml

from varmor.policy.crd import definitions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor crds``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object of kind List in place of YAML")


def run(arguments: argparse.Namespace) -> int:
    """Print all definitions."""
    made = definitions()
    if arguments.json:
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": made}, indent=2))
    else:
        yaml.safe_dump_all(made, sys.stdout, sort_keys=False, width=120, explicit_start=True)
    return 0
