# SPDX-License-Identifier: Apache-2.0
"""Built-in rules as lines of an AppArmor profile: refused, refused and recorded, or recorded only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from varmor.profile.apparmor_base import own_label
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import NodeFacts

_DISKS = "@{disks}"
# Names of disks and their parts, whatever is attached later: SCSI (and its raw devices), NVMe, virtual, ATA, flash
# cards, device mapper, RAID, loop, network block devices, and the rarer kinds.
_USUAL_DISKS = (
    "sd[a-z]*", "sg[0-9]*", "sr[0-9]*", "nvme[0-9]*", "ng[0-9]*", "vd[a-z]*", "xvd[a-z]*", "hd[a-z]*", "mmcblk[0-9]*",
    "mtd[0-9]*", "mtdblock[0-9]*", "dm-[0-9]*", "md[0-9]*", "loop[0-9]*", "nbd[0-9]*", "rbd[0-9]*", "drbd[0-9]*",
    "bcache[0-9]*", "pmem[0-9]*", "zd[0-9]*", "dasd[a-z]*", "ubi[0-9]*", "bsg/*",
)  # fmt: skip
_USUAL_DISK = re.compile(
    r"(sd[a-z]|s[gr]\d|nvme\d|ng\d|x?vd[a-z]|hd[a-z]|mmcblk\d|mtd(block)?\d|dm-\d|md\d|loop\d|d?r?[nr]?bd\d|bcache\d|"
    r"pmem\d|zd\d|dasd[a-z]|ubi\d)[^/]*|bsg/[^/]*"
)

_PATH_RULE = re.compile(r"^(?P<path>(owner )?[/@{\"].* )(?P<permissions>[rwaklmx]+)$")
# Classes that the runtime's default does not allow as a whole: a rule that only records must not allow them either.
_REFUSED_BY_DEFAULT = frozenset({"mount", "remount", "pivot_root", "dbus", "change_profile"})
_AMONG_THEMSELVES = frozenset({"ptrace", "signal"})


@dataclass(frozen=True, slots=True)
class Frame:
    """The profile that rules are put into: its name, whether its base allows all, and programs with a child profile."""

    name: str
    allows_all: bool
    targets: Collection[str] = ()


def expressible(selected: Sequence[Selected], facts: NodeFacts) -> tuple[Selected, ...]:
    """The rules that AppArmor has a form for which the node's parser knows and its kernel enforces."""
    return tuple(
        item
        for item in selected
        if item.rule.apparmor
        and item.rule.apparmor.parser <= facts.apparmor_parser
        and item.rule.apparmor.kernel <= facts.kernel
    )


def built_in(items: Sequence[Selected], reaction: Reaction, facts: NodeFacts, frame: Frame) -> Iterator[str]:
    """The lines of built-in rules, each rule once."""
    if reaction.nothing:
        return
    for name, form in {item.rule.name: item.rule.apparmor for item in items}.items():
        if form is None:
            continue
        yield ""
        yield f"# {name}"
        for body in (disks_named(body, facts.disk_devices) for body in form.rules):
            if reaction.deny:
                yield f"{'audit ' if reaction.audit else ''}deny {body},"
            elif observed := _observed(body, frame):
                yield f"audit {observed},"


def disks_named(body: str, devices: Sequence[str]) -> str:
    """The body with the names of disks for ``@{disks}``: the usual ones, and those of the node that are none of them.

    A disk that is attached after the profile was loaded is named as well.
    """
    if _DISKS not in body:
        return body
    unusual = sorted({name for name in devices if not _USUAL_DISK.fullmatch(name)})
    names = [re.sub(r"([^\w/.:-])", r"\\\1", name) for name in unusual]
    return body.replace(_DISKS, "{" + ",".join([*_USUAL_DISKS, *names]) + "}")


def _observed(body: str, frame: Frame) -> str:
    """The rule as one that allows and records, empty when the base refuses it anyway and so records it.

    An execution needs to say under which profile: this one, or where a target's own path is meant, as the target's
    line says.
    """
    first = re.split(r"[\s=(]", body, maxsplit=1)[0]
    if not frame.allows_all:
        if first in _REFUSED_BY_DEFAULT:
            return ""
        if first in _AMONG_THEMSELVES:
            return body if "peer=" in body else f"{body} peer={own_label(frame.name)}"
    match = _PATH_RULE.match(body)
    if match is None or "x" not in match["permissions"]:
        return body
    inherit = "" if match["path"].strip().strip('"') in frame.targets else "ix"
    permissions = match["permissions"].replace("x", inherit)
    return match["path"] + permissions if permissions else ""
