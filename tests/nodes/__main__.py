# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.nodes``."""

from __future__ import annotations

import sys

from tests.nodes.cli import main

sys.exit(main())
