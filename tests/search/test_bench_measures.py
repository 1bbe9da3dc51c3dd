"""Measuring schedules: blocks of rows, and means over tasks."""

from __future__ import annotations

from collections.abc import Sequence

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.program.data import Row
from fusionprog.search.bench import block, mean_tokens, task_means


def test_a_block_is_the_next_rows_of_every_task_that_has_them() -> None:
    rows = {"long": [Row({"n": n}) for n in range(10)], "short": [Row({"n": n}) for n in range(3)]}
    made = block(rows, 2, 4)
    assert [row.columns["n"] for row in made["long"]] == [2, 3, 4, 5]
    assert [row.columns["n"] for row in made["short"]] == [2]
    assert not block(rows, 5, 2)["short"]


def outcomes(scores: Sequence[float], tokens: int) -> list[Outcome]:
    return [Outcome(str(index), score, tokens=tokens) for index, score in enumerate(scores)]


def test_tasks_count_alike_whatever_their_rows() -> None:
    measured = {"large": outcomes([1.0, 0.0, 0.0, 0.0], 100), "small": outcomes([1.0], 300), "none": []}
    assert task_means(measured) == {"large": 0.25, "small": 1.0}
    assert mean_tokens(measured) == 200.0
    assert mean_tokens({"none": []}) == 0.0
