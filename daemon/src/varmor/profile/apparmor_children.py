# SPDX-License-Identifier: Apache-2.0
"""Child profiles: rules for single executables (``targets``).

A target runs under its workload's profile *and* the child's, stacked: what the workload may not do, the target may not
do either, whatever the child says, and a second target that the first one starts gets the rules of both. A stack only
takes rights away, so that the kernel permits it for programs with no_new_privs, where a mere change to a child is
refused. The child allows everything but what its rules say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varmor.profile.apparmor_base import FLAGS, allow_all, child_name, own_label
from varmor.profile.apparmor_lines import defused, marked
from varmor.profile.apparmor_rules import Frame, built_in
from varmor.profile.executables import ExecutableGroup, RawText
from varmor.profile.selection import Reaction
from varmor.profile.types import NodeFacts


def transitions(name: str, groups: Sequence[ExecutableGroup], reaction: Reaction) -> Iterator[str]:
    """Lines of the workload's profile by which targets enter their child profiles."""
    audit = "" if reaction.deny else "audit "
    for number, group in enumerate(groups, start=1):
        watched = audit if group.selected else ""
        for path in group.executables:
            # Said as a whole label: a relative one (-> &child) would be stacked on a host's profile of that program.
            yield f"{watched}{quoted(path)} px -> {name}//&{child_name(name, number)},"


def children(
    name: str, groups: Sequence[ExecutableGroup], reaction: Reaction, facts: NodeFacts, abi: str
) -> Iterator[str]:
    """The child profiles, to stand at the end of the workload's profile."""
    for number, group in enumerate(groups, start=1):
        yield ""
        yield f"# {', '.join(group.executables)}"
        yield f"profile child_{number} flags=({','.join(FLAGS)}) {{"
        for line in _child(name, group, reaction, facts, abi):
            yield f"  {line}" if line else ""
        yield "}"


def _child(name: str, group: ExecutableGroup, reaction: Reaction, facts: NodeFacts, abi: str) -> Iterator[str]:
    yield from allow_all(abi)
    yield ""
    yield "# Programs without these restrictions must not be made to act for this one."
    observed = not reaction.deny and not group.raw
    qualifier = " ".join(word for word, on in (("audit", reaction.audit), ("deny", not observed)) if on)
    for body in ("signal (send)", "ptrace (trace,read)"):
        yield f"{qualifier} {body} peer={own_label(name)},"
    yield from built_in(group.selected, reaction, facts, Frame(name, allows_all=True))
    for raw in group.raw:
        yield ""
        yield from raw_lines(raw)


def raw_lines(raw: RawText) -> Iterator[str]:
    """Custom rules as written, between the comments that name their field."""
    yield from marked(raw.field, defused(raw.text))


def quoted(path: str) -> str:
    """A path as a literal in a rule. In quotes, only an octal number can say a quote or a backslash."""
    escaped = path.replace("\\", r"\134").replace('"', r"\042")
    return f'"{escaped}"' if any(sign in escaped for sign in " \t,\\#") else path
