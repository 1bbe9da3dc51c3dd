"""How the rows of a trial are shared out over tasks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.program.data import Row
from fusionprog.search.shares import RowShares, row_counts

WEIGHTS = st.lists(st.floats(0.001, 5), min_size=1, max_size=8)


def named(values: list[float]) -> dict[str, float]:
    return {f"t{place}": value for place, value in enumerate(values)}


@given(WEIGHTS, st.integers(1, 16))
def test_all_rows_are_shared_out_and_every_task_gets_one(values: list[float], size: int) -> None:
    weights = named(values)
    total = size * len(weights)
    counts = row_counts(weights, total, dict.fromkeys(weights, total))
    assert counts.keys() == weights.keys()
    assert sum(counts.values()) == total and min(counts.values()) >= 1


@given(WEIGHTS, st.integers(1, 16))
def test_who_weighs_more_gets_no_fewer(values: list[float], size: int) -> None:
    weights = named(values)
    counts = row_counts(weights, size * len(weights), dict.fromkeys(weights, size * len(weights)))
    order = sorted(weights, key=lambda task: weights[task])
    assert all(counts[less] <= counts[more] or weights[less] == weights[more] for less, more in pairwise(order))


@given(st.integers(1, 9), st.integers(1, 16))
def test_equal_weights_give_equal_counts(tasks: int, size: int) -> None:
    weights = dict.fromkeys([f"t{place}" for place in range(tasks)], 1.0)
    assert set(row_counts(weights, size * tasks, dict.fromkeys(weights, 99)).values()) == {size}


def test_a_share_is_what_the_weight_says() -> None:
    limits = dict.fromkeys("abc", 99)
    assert row_counts({"a": 2.0, "b": 0.75, "c": 0.25}, 24, limits) == {"a": 16, "b": 6, "c": 2}
    assert row_counts({"a": 2.97, "b": 0.02, "c": 0.01}, 24, limits) == {"a": 22, "b": 1, "c": 1}
    assert row_counts({"a": 2.0, "b": 0.75, "c": 0.25}, 24, {**limits, "a": 10}) == {"a": 10, "b": 11, "c": 3}


@pytest.mark.parametrize("weights", [{}, {"a": 1.5, "b": 0.5}, {"a": 0.5, "b": 1.5}])
def test_rows_are_handed_out_in_order_and_from_the_start_again(weights: dict[str, float]) -> None:
    rows = {task: [Row({"text": f"{task} {place}"}) for place in range(5)] for task in "ab"}
    shares = RowShares(rows, 2)
    taken: dict[str, list[Row]] = {"a": [], "b": []}
    for _ in range(10):
        counts = shares.counts(weights)
        assert shares.look(counts) == shares.look(counts)  # looking moves nothing on
        for task, mine in shares.look(counts).items():
            taken[task] += mine
        shares.move_on(counts)
    assert len(taken["a"]) + len(taken["b"]) == 40
    for task, mine in taken.items():
        assert mine == (rows[task] * 8)[: len(mine)]


def test_a_task_with_few_rows_shows_all_it_has() -> None:
    rows = {task: [Row({"text": f"{task} {place}"}) for place in range(count)] for task, count in (("a", 3), ("b", 50))}
    shares = RowShares(rows, 8)
    counts = shares.counts({"a": 1.0, "b": 1.0})
    assert {task: len(mine) for task, mine in shares.look(counts).items()} == {"a": 3, "b": 8}
