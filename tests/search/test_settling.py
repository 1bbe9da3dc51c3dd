"""Which tasks follow what was found, and which go on with what they followed before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.growth import Growth
from fusionprog.runtime.record import Comparison, Score
from fusionprog.search.confirmation import Decision
from fusionprog.search.settling import Standing, settle


def compared(before: float, after: float) -> Comparison:
    se = 0.05 if before != after else 0.0
    return Comparison(Score(before, 0.05, 20), Score(after, 0.05, 20), round(after - before, 6), se)


def settled(
    found: float,
    before: float,
    *,
    tolerance: float | None,
    written: float = 0.4,
    improved: bool = True,
    known: str = "t",
) -> tuple[bool, float]:
    """Whether the one task goes on as before, and its score then."""
    decision = Decision(Schedule(), improved, {"t": compared(written, found if improved else written)}, "")
    standing = Standing(
        {"t": compared(written, before)},
        {"t": compared(before, before)},
        {"t": compared(before, found)},
        {"t": compared(before, written)},
    )
    made = settle(decision, standing, known=[known], tolerance=tolerance, before=None)
    assert made.growth is not None
    assert made.growth.scores[1]["t"] == before and made.growth.scores[2]["t"] == made.gains["t"].after.mean
    assert made.replaced["t"].after.mean == made.gains["t"].after.mean
    return made.kept == ("t",), made.gains["t"].after.mean


@pytest.mark.parametrize(
    ("found", "before", "tolerance", "goes_on"),
    [
        (0.69, 0.70, 0.02, False),  # within the tolerance
        (0.67, 0.70, 0.02, True),
        (0.80, 0.70, 0.02, False),
        (0.80, 0.70, None, False),
        (0.77, 0.70, None, True),  # by less than 1.7 times its standard error
        (0.70, 0.70, None, True),
    ],
)
def test_a_task_goes_on_where_it_would_fall_or_is_not_proven_to_rise(
    found: float, before: float, tolerance: float | None, goes_on: bool
) -> None:
    assert settled(found, before, tolerance=tolerance) == (goes_on, before if goes_on else found)


def test_where_nothing_was_found_it_is_as_written_or_as_before_whichever_is_better() -> None:
    assert settled(0.0, 0.70, tolerance=0.02, improved=False) == (True, 0.70)
    assert settled(0.0, 0.30, tolerance=0.02, improved=False) == (False, 0.40)
    assert settled(0.0, 0.40, tolerance=0.02, improved=False) == (True, 0.40)


@pytest.mark.parametrize("found", [0.42, 0.0])
def test_what_is_measured_worse_than_as_written_never_goes_on(found: float) -> None:
    better = max(found, 0.40)
    assert settled(found, 0.38, tolerance=None, improved=found > 0, known="other") == (False, better)


def test_a_new_task_may_not_fall_at_all() -> None:
    assert settled(0.69, 0.70, tolerance=0.02, known="other") == (True, 0.70)


def test_what_is_expected_of_a_new_task_counts_only_where_it_was_measured_to_be_better() -> None:
    def new(found: float, before: float, *, improved: bool) -> tuple[bool, float]:
        return settled(found, before, tolerance=None, improved=improved, known="other")

    assert new(0.0, 0.30, improved=False) == (False, 0.40)
    assert new(0.0, 0.40, improved=False) == (False, 0.40)
    assert new(0.0, 0.45, improved=False) == (True, 0.45)
    assert new(0.42, 0.39, improved=True) == (False, 0.42)
    assert new(0.46, 0.45, improved=True) == (True, 0.45)


def test_stages_add_up() -> None:
    first = Growth(("as written", "before", "after"), {"t": 1}, [{"t": 0.4}, {"t": 0.5}, {"t": 0.6}])
    decision = Decision(Schedule(), True, {"t": compared(0.4, 0.8), "u": compared(0.3, 0.7)}, "")
    one = {"t": compared(0.4, 0.6), "u": compared(0.3, 0.5)}
    against = {"t": compared(0.6, 0.8), "u": compared(0.5, 0.7)}
    unchanged = {"t": compared(0.6, 0.6), "u": compared(0.5, 0.5)}
    standing = Standing(one, unchanged, against, one)
    made = settle(decision, standing, known=["t"], tolerance=0.0, before=first).growth
    assert made is not None
    assert made.stages == ["as written", "before", "before", "after"]
    assert made.learned_in == {"t": 1, "u": 3}
    added_before = settle(decision, standing, known=["t", "u"], tolerance=0.0, before=first).growth
    assert added_before is not None and added_before.learned_in == {"t": 1, "u": 2}
    assert [dict(each) for each in made.scores] == [
        {"t": 0.4, "u": 0.3},
        {"t": 0.5},
        {"t": 0.6, "u": 0.5},
        {"t": 0.8, "u": 0.7},
    ]
    assert made.backward == pytest.approx((0.1 + 0.3) / 2) and made.forward == pytest.approx(0.2)
    assert replace(made, stages=tuple(made.stages)).average == pytest.approx(0.75)
