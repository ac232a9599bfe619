# SPDX-License-Identifier: Apache-2.0
"""Run the test tiers, each with its time, and fail when a tier that this machine supports was skipped.

Usage: ``python -m scripts.test [TIER ...]``; without a name, all tiers but the extra ones, in order.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts import tiers

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a tier: ``passed``, ``failed`` or ``skipped``, its seconds and, when skipped, why."""

    tier: str
    result: str
    seconds: float
    reason: str = ""


def run_tier(tier: tiers.Tier, say: Callable[[str], None]) -> Outcome:
    """Run the commands of a tier in order; the first that fails ends it."""
    say(f"=== {tier.name}: {tier.summary}")
    reason = tier.unavailable()
    if reason:
        say(f"!!! {tier.name} SKIPPED: {reason}")
        return Outcome(tier.name, "skipped", 0.0, reason)
    started = time.monotonic()
    for command in tier.commands:
        say(f"--- {' '.join(command)}")
        status = subprocess.run(
            command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL, env=tiers.environment()
        ).returncode
        if status != 0:
            say(f"!!! {tier.name} FAILED: {' '.join(command)} ended with status {status}")
            return Outcome(tier.name, "failed", time.monotonic() - started)
    return Outcome(tier.name, "passed", time.monotonic() - started)


def report(outcomes: list[Outcome]) -> int:
    """Print one line per tier and the closing line; the exit status."""
    print("\ntier          result    seconds")
    for outcome in outcomes:
        print(f"{outcome.tier:<13} {outcome.result:<9} {outcome.seconds:7.1f}  {outcome.reason}".rstrip())
    counts = {
        result: sum(outcome.result == result for outcome in outcomes) for result in ("passed", "failed", "skipped")
    }
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    return 1 if counts["failed"] or not counts["passed"] else 0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m scripts.test", description="Run the test tiers.")
    parser.add_argument(
        "tiers", nargs="*", metavar="TIER", help=", ".join(tier.name for tier in (*tiers.ALL, *tiers.EXTRA))
    )
    parser.add_argument("--keep-going", action="store_true", help="run later tiers even when one has failed")
    options = parser.parse_args()
    known = {tier.name: tier for tier in (*tiers.ALL, *tiers.EXTRA)}
    unknown = [name for name in options.tiers if name not in known]
    if unknown:
        parser.error(f"unknown tier {unknown[0]!r}; known are {', '.join(known)}")
    outcomes: list[Outcome] = []
    for tier in [known[name] for name in options.tiers] or list(tiers.ALL):
        outcomes.append(run_tier(tier, lambda text: print(text, flush=True)))
        if outcomes[-1].result == "failed" and not options.keep_going:
            break
    return report(outcomes)


if __name__ == "__main__":
    sys.exit(main())
