"""``transfer_matrix``: what was learned in some tasks, tried in others; and the alarm where it hurts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.errors import (
    BudgetError,
    DataError,
    EmbedderError,
    LMConfigurationError,
    ProgramError,
)
from fusionprog.evaluation.statistics import compare
from fusionprog.search.events import Note
from fusionprog.search.transfer_matrix import TransferMatrix


def helps_shops_alone(prompt: str, task: str, number: int, good: str) -> bool:
    """The good hint helps in the shop and does harm in the bank."""
    shown = good in prompt
    return bool(seed_of(task, number) % 10 < ((9 if shown else 3) if task == "shop" else (1 if shown else 7)))


@pytest.fixture(scope="module")
def shop(kit: Any) -> tuple[fp.CompiledProgram, Any]:
    """A program of the shop, whose good hint harms banks, and its model."""
    model = kit.Scripted(lambda prompt, task, number: helps_shops_alone(prompt, task, number, kit.GOOD))
    how: dict[str, Any] = {"pool": kit.pool(), "lm": model, "budget": fp.Budget(calls=300), "progress": False}
    program = fp.compile(kit.Desk(), [kit.task("shop")], **how)
    assert kit.GOOD in str(program.prompt("shop", node="triage"))
    return program, model


def test_a_source_that_hurts_raises_an_alarm(kit: Any, shop: tuple[fp.CompiledProgram, Any]) -> None:
    program, _ = shop
    told: list[Any] = []
    both = program.adapt(kit.task("bank"), budget=fp.Budget(calls=150), progress=False)
    bank = replace(kit.task("bank"), name="bank-2")
    matrix = fp.transfer_matrix(both, [bank], rows=40, progress=False, callbacks=[told.append])
    assert list(matrix.gains) == ["shop", "bank", "all tasks"]
    harm, none = matrix.gains["shop"]["bank-2"], matrix.gains["bank"]["bank-2"]
    assert harm.before.n == 40 and harm.gain < -0.4 and none.gain == none.se == 0
    assert [(alarm.source, alarm.target) for alarm in matrix.alarms] == [
        ("all tasks", "bank-2"),
        ("shop", "bank-2"),
    ]
    (cost,) = [event.text for event in told if isinstance(event, Note)]
    assert cost.startswith("at most 160 calls: about ") and matrix.calls == 80
    assert told.index(Note(cost)) == 0
    text = str(matrix)
    assert "▼ shop hurts bank-2" in text and "▼ bank hurts" not in text
    assert {"source": "shop", "target": "bank-2"}.items() <= matrix.as_json()["alarms"][1].items()


def test_all_tasks_is_what_adapt_without_trials_gives(
    kit: Any, shop: tuple[fp.CompiledProgram, Any], tmp_path: Path
) -> None:
    program, model = shop
    program.save(tmp_path / "desk.json")
    program.save(tmp_path / "other.json")
    bank, inn = kit.task("bank"), replace(kit.task("shop"), name="inn")
    paths: list[Any] = [tmp_path / "desk.json", str(tmp_path / "other.json")]
    matrix = fp.transfer_matrix(paths, [bank, inn], lm=model, progress=False)
    assert list(matrix.gains) == ["desk", "other"] and matrix.gains["desk"] == matrix.gains["other"]
    added = program.adapt([bank, inn], trials=0)
    for name, task in (("bank", bank), ("inn", inn)):
        rows = [dict(row.columns) for row in task.rows["val"]]
        assert matrix.gains["desk"][name].after.mean == pytest.approx(added.evaluate(name, data=rows).score.mean)
    before = len(model.seen)
    stored = {"storage": str(tmp_path / "m.db"), "lm": model, "progress": False}
    assert fp.transfer_matrix(paths[0], bank, **stored).gains["all tasks"]["bank"] == matrix.gains["desk"]["bank"]
    asked = len(model.seen)
    again = fp.transfer_matrix(paths[0], bank, **stored)
    assert asked > before and len(model.seen) == asked and again.calls == asked - before


@pytest.mark.parametrize(
    ("changes", "how", "error", "said"),
    [
        ({"val": []}, {}, DataError, "val is empty"),
        ({"labels": {"sort.team": ["a", "b"]}}, {}, ProgramError, "no node 'sort'"),
        ({}, {"rows": 0}, BudgetError, "rows must be at least 1"),
        ({}, {"embedder": "functional"}, EmbedderError, "compiled with another embedder"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_asked(
    kit: Any,
    shop: tuple[fp.CompiledProgram, Any],
    changes: Mapping[str, Any],
    how: Mapping[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    program, model = shop
    before = len(model.seen)
    with pytest.raises(error, match=said):
        fp.transfer_matrix(program, kit.task("bank", **changes), progress=False, **how)
    assert len(model.seen) == before


def test_programs_that_cannot_be_compared_or_asked_are_refused(
    kit: Any, shop: tuple[fp.CompiledProgram, Any], tmp_path: Path
) -> None:
    program, model = shop
    program.save(tmp_path / "desk.json")
    with pytest.raises(LMConfigurationError, match=r"'scripted' cannot be made from its name.*lm=your_lm"):
        fp.transfer_matrix(tmp_path / "desk.json", kit.task("bank"), progress=False)
    with pytest.raises(ProgramError, match="there are no sources"):
        fp.transfer_matrix([], kit.task("bank"))

    class Shorter(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.triage = fp.modules.Predict(kit.Triage)

        def forward(self, message: str) -> Any:
            return {"team": self.triage(message=message).team}

    how: dict[str, Any] = {"pool": kit.pool(), "lm": model, "trials": 2, "progress": False}
    other = fp.compile(Shorter(), [kit.task("shop")], budget=fp.Budget(calls=100), **how)
    with pytest.raises(ProgramError, match="Shorter is compiled from another program than Desk"):
        fp.transfer_matrix([program, other], kit.task("bank"))


def test_a_loss_that_chance_explains_is_no_alarm() -> None:
    small = compare([1, 0, 1, 1, 0, 1], [1, 0, 0, 1, 0, 1])
    large = compare([1] * 20, [1, 0, 0, 0] * 5)
    matrix = TransferMatrix({"one": {"a": small, "b": large}}, 0)
    assert [(each.source, each.target) for each in matrix.alarms] == [("one", "b")]
