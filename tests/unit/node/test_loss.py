# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from varmor.node.loss import records_complete


def test_nothing_was_lost() -> None:
    assert records_complete({"events": 0}).as_json()["status"] == "True"


def test_what_was_lost_is_said() -> None:
    condition = records_complete({"events found no room": 17, "records were dropped": 0}).as_json()
    assert (condition["type"], condition["status"], condition["reason"]) == ("RecordsComplete", "False", "RecordsLost")
    assert "17 events found no room;" in condition["message"]
