# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmor.errors import PolicyError
from varmor.policy import record
from varmor.policy.cursor import Cursor
from varmor.policy.document import read_object
from varmor.policy.model_data import ModelData
from varmor.policy.profile_content import ProfileContent
from varmor.policy.record import Member, member, members
from varmor.policy.status import (
    ArmorProfileModelStatus,
    ArmorProfileStatus,
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    PolicyStatus,
)
from varmor.policy.types import BpfAllowList, BpfPathRule, Target, TargetKind

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)


def read(kind: Any, document: object) -> Any:
    return record.read(kind, Cursor(read_object(document, "x"), "", "", {}))


def records(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a record class."""
    made = {item.attribute: _values(kind, item) for item in members(kind)}
    return st.builds(kind, **made)


def _values(kind: Any, item: Member) -> st.SearchStrategy[Any]:
    if item.type is BpfAllowList:
        value: st.SearchStrategy[Any] = st.just(BpfAllowList(files=(BpfPathRule((), "/x", ("r",)),)))
    elif item.type is Target:
        value = st.just(Target(TargetKind.UNIT, "a.service"))
    elif item.detail.time:
        value = st.just("2026-01-31T12:00:00Z")
    elif item.element is not None:
        value = st.lists(_one(item.element, item), max_size=2).map(tuple)
    else:
        value = _one(item.type, item)
    optional = isinstance(typing.get_type_hints(kind)[item.attribute], types.UnionType)
    return st.none() | value if optional else value


def _one(kind: Any, item: Member) -> st.SearchStrategy[Any]:
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bool: st.booleans(),
        int: st.integers(item.detail.low, item.detail.high),
    }
    if kind in simple:
        return simple[kind]
    return records(kind) if record.is_record(kind) else st.sampled_from(kind)


@pytest.mark.parametrize(
    "kind", [PolicyStatus, ArmorProfileStatus, ArmorProfileModelStatus, ModelData, ProfileContent], ids=str
)
@given(data=st.data())
def test_what_is_written_is_read_again(kind: Any, data: st.DataObject) -> None:
    value = data.draw(records(kind))
    assert read(kind, record.render(value)) == value


def test_a_status() -> None:
    document = {
        "profileName": "varmor-default-web",
        "ready": False,
        "phase": "Error",
        "conditions": [
            {
                "type": "Effective",
                "status": "False",
                "lastTransitionTime": "2026-01-31T12:00:00Z",
                "reason": "NoEffect",
                "message": "x",
            }
        ],
        "observedGeneration": 3,
    }
    status = read(PolicyStatus, document)
    condition = Condition(
        type=ConditionType.EFFECTIVE,
        status=ConditionStatus.FALSE,
        last_transition_time="2026-01-31T12:00:00Z",
        reason="NoEffect",
        message="x",
    )
    assert status == PolicyStatus(
        profile_name="varmor-default-web",
        ready=False,
        phase=Phase.ERROR,
        conditions=(condition,),
        observed_generation=3,
    )
    assert record.render(status) == document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"ready": True}, "the field 'profileName' is missing"),
        ({"profileName": "x", "ready": "yes"}, "expected true or false"),
        ({"profileName": "x" * 64, "ready": True}, "64 characters are more than the 63"),
        ({"profileName": "x", "ready": True, "phases": "x"}, "did you mean 'phase'?"),
        ({"profileName": "x", "ready": True, "phase": "protecting"}, "did you mean 'Protecting'?"),
        ({"profileName": "x", "ready": True, "observedGeneration": -1}, "-1 is out of range"),
        (
            {
                "profileName": "x",
                "ready": True,
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "now"}],
            },
            "conditions[0].lastTransitionTime: 'now' is no time; expected one such as",
        ),
    ],
)
def test_bad_status(document: object, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(PolicyStatus, document)
    assert words in str(caught.value)


def test_names_and_types() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Plain:
        two_words: str = member("x")
        renamed: tuple[int, ...] = member("x", name="other", default=())

    first, second = members(Plain)
    assert (first.name, first.required, first.element) == ("twoWords", True, None)
    assert (second.name, second.required, second.element) == ("other", False, int)
    assert record.is_record(Plain)
    assert not record.is_record(str)
