"""A compile from end to end: what it finds, and what it spends on it."""

from __future__ import annotations

from typing import Any

import pytest

import fusionprog as fp
from fusionprog.search.events import Finished, Note, PhaseStarted, StepDone


def test_the_good_hint_is_found_and_proven(improved: Any, kit: Any) -> None:
    record = improved.program.record
    assert record.improved
    assert record.trials == 8 and record.reason == "all 8 trials are done"
    for task in record.tasks.values():
        assert task.confirmation.gain > 0.2 and task.confirmation.after.n >= 20
        assert task.test is not None and task.test.gain > 0
        assert task.cost["after"]["tokens"] > task.cost["before"]["tokens"]
    for name in ("shop", "bank"):
        assert any(kit.GOOD in message["content"] for message in improved.program.prompt(name, node="triage"))
    assert record.notes[-1].startswith("mean gain +")
