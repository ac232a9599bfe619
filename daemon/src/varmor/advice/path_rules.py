# SPDX-License-Identifier: Apache-2.0
"""Rules about paths in one form for all enforcers that have them: who wins, and what holds where no rule speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from varmor.profile.glob import regex

DEFAULT = "default"
"""The origin of what a profile does where no rule speaks."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a request."""

    denied: bool = False
    recorded: bool = False

    def __str__(self) -> str:
        return ("denied" if self.denied else "allowed") + (" and recorded" if self.recorded else "")


@dataclass(frozen=True, slots=True)
class PathVerdictRule:
    """A glob with a set of accesses (names such as ``read``) and what it does with them.

    ``origin`` names the rule that a person wrote; it does not count when rules are compared.
    """

    pattern: str
    access: frozenset[str]
    deny: bool = False
    audit: bool = False
    allow: bool = False
    origin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PathRules:
    """Rules with their default: what of ``default_denied`` no rule allows is refused, of ``default_recorded`` recorded.

    ``default_origin`` is what explanations say of the default. ``silent_deny`` tells that a deny rule without audit
    keeps a refusal out of the records even where the default would record it (AppArmor).
    """

    rules: tuple[PathVerdictRule, ...] = ()
    default_denied: frozenset[str] = frozenset()
    default_recorded: frozenset[str] = frozenset()
    silent_deny: bool = False
    default_origin: str = DEFAULT

    def judge(self, matching: Sequence[PathVerdictRule], access: str) -> tuple[Verdict, str]:
        """The verdict on ``access`` where exactly these rules match the path, and the origin of what decided."""
        speaking = [rule for rule in matching if access in rule.access]
        denials = [rule for rule in speaking if rule.deny]
        allowed = any(rule.allow for rule in speaking)
        lacking = not allowed
        denied = bool(denials) or (lacking and access in self.default_denied)
        by_default = lacking and access in self.default_recorded and not (self.silent_deny and denials)
        audits = [rule for rule in speaking if rule.audit]
        deciding = denials or audits or [rule for rule in speaking if rule.allow]
        origin = deciding[0].origin if deciding else (self.default_origin if denied or by_default else "")
        return Verdict(denied, bool(audits) or by_default), origin

    def judge_path(self, path: str, access: str) -> tuple[Verdict, str]:
        """The verdict on ``access`` to one path, and the origin of what decided."""
        text = path.encode("utf-8", "surrogateescape")
        return self.judge([rule for rule in self.rules if regex(rule.pattern).fullmatch(text)], access)

    def accesses(self) -> Iterator[str]:
        """All accesses that a rule or the default speaks about, in a stable order."""
        yield from sorted(
            {access for rule in self.rules for access in rule.access} | self.default_denied | self.default_recorded
        )
