"""Break-even: after how many calls of the compiled program its search has paid for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.runtime.break_even import BreakEven, break_even
from fusionprog.runtime.record import Comparison, CompileRecord, Score, TaskRecord

SPENT = {"calls": 4_000, "tokens": 2_000_000, "usd": 3.0}


def cost(before: float, after: float, usd: tuple[float | None, float | None] = (None, None)) -> Any:
    """Of 1,000 calls."""
    return {"before": {"tokens": before, "usd": usd[0]}, "after": {"tokens": after, "usd": usd[1]}}


def even(spent: Any, costs: Any, gains: Any) -> BreakEven:
    found = break_even(spent, costs, gains)
    assert found is not None
    return found


def test_cheaper_calls_pay_for_the_search() -> None:
    found = even(SPENT, [cost(1e6, 8e5, (4.0, 2.0)), cost(1e6, 9e5, (4.0, 3.0))], [(0.0, 0.02), (0.0, 0.02)])
    assert (found.unit, found.spent) == ("usd", 3.0)
    assert found.saved == pytest.approx(0.0015)
    assert found.calls_to_save == 2_000
    assert found.calls_to_gain is found.spent_per_hundredth is found.per_right_answer is None


def test_dearer_and_better_calls_buy_right_answers() -> None:
    found = even(SPENT, [cost(3e5, 5e5)], [(0.2, 0.03)])
    assert (found.unit, found.spent) == ("tokens", 2_000_000)
    assert found.saved == pytest.approx(-200)
    assert found.calls_to_save is None
    assert found.calls_to_gain == 20_000
    assert found.spent_per_hundredth == pytest.approx(100_000)
    assert found.per_right_answer == pytest.approx(1_000)


def test_cheaper_and_better_calls_do_both() -> None:
    found = even(SPENT, [cost(3e5, 1e5)], [(0.1, 0.03)])
    assert (found.calls_to_save, found.calls_to_gain, found.per_right_answer) == (10_000, 40_000, None)


def test_what_is_cheaper_and_worse_pays_for_nothing() -> None:
    found = even(SPENT, [cost(3e5, 1e5)], [(-0.01, 0.03)])
    assert found.calls_to_save is found.calls_to_gain is None


def test_gains_are_averaged_over_tasks_with_their_error() -> None:
    found = even(SPENT, [cost(1.0, 1.0)] * 2, [(0.1, 0.03), (0.3, 0.04)])
    assert found.gain == pytest.approx(0.2)
    assert found.gain_se == pytest.approx(0.025)


@pytest.mark.parametrize("usd", [(None, 1.0), (1.0, None)])
def test_without_all_prices_it_is_reckoned_in_tokens(usd: tuple[float | None, float | None]) -> None:
    assert even(SPENT, [cost(1.0, 1.0, (1.0, 1.0)), cost(1.0, 1.0, usd)], [(0.1, 0.1)] * 2).unit == "tokens"
    assert even({**SPENT, "usd": 0.0}, [cost(1.0, 1.0, (0.0, 0.0))], [(0.1, 0.1)]).unit == "tokens"


def test_without_costs_there_is_none() -> None:
    assert break_even(SPENT, [], []) is None
    assert break_even(SPENT, [{}], [(0.1, 0.1)]) is None


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0.001, 1), st.integers(1, 10**6))
def test_at_the_break_even_what_was_spent_is_there_again_and_not_before(
    before: float, after: float, gain: float, calls: int
) -> None:
    found = even({"calls": calls, "tokens": 7 * calls, "usd": 0.0}, [cost(before, after)], [(gain, 0.01)])
    assert found.calls_to_gain is not None
    assert found.calls_to_gain * gain >= calls * (1 - 1e-12) > (found.calls_to_gain - 1) * gain * (1 - 1e-9)
    assert (found.calls_to_save is None) == (after >= before)
    if found.calls_to_save is not None:
        assert found.calls_to_save * found.saved >= found.spent * (1 - 1e-12)
        assert (found.calls_to_save - 1) * found.saved < found.spent * (1 + 1e-9)


HALF, BETTER = Score(0.5, 0.05, 40), Score(0.7, 0.05, 40)


def record(improved: bool = True, **tasks: tuple[float, float | None]) -> CompileRecord:
    """Task → gain on confirmation and on test."""
    made = {
        name: TaskRecord(
            Comparison(HALF, BETTER, confirmed, 0.05),
            None if tested is None else Comparison(HALF, BETTER, tested, 0.05),
            {},
            cost(3e5, 5e5),
        )
        for name, (confirmed, tested) in tasks.items()
    }
    return CompileRecord(made, improved, "", 1, SPENT, {}, 0, {}, {}, {}, "")


def test_a_record_takes_gains_on_test_where_all_tasks_have_one() -> None:
    for tasks, gain in (({"a": (0.3, 0.1), "b": (0.3, 0.2)}, 0.15), ({"a": (0.3, 0.1), "b": (0.3, None)}, 0.3)):
        found = record(**tasks).break_even
        assert found is not None and found.gain == pytest.approx(gain)


def test_where_nothing_improved_there_is_none() -> None:
    assert record(improved=False, a=(0.0, 0.0)).break_even is None
    assert replace(record(a=(0.1, 0.1)), tasks={}).break_even is None
