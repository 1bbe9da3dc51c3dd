"""The learning curve: bounded, with its ends, and one fold after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import optuna
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.search.findings import Findings, Table
from fusionprog.search.learning import MOST_POINTS, Learning


class Knowing:
    """A strategy as far as learning knows it: it expects what it is told to."""

    def __init__(self, expects: float | None = None) -> None:
        self.expects = expects
        self.asked = 0

    def expected(self) -> float | None:
        self.asked += 1
        return self.expects

    def findings(self, study: optuna.Study) -> Findings:
        table = Table(np.array([0.25]), np.array([0.1]), np.array([4]))
        return Findings("posterior", {"n": ["a"]}, {("t", "n"): table}, {}, {"n.hint.a": 1.0})

    def explained_with(self, others: Sequence[Any], average: Findings) -> Findings:
        return replace(average, importance={f"{len(others)} others": 1.0})


NO_STUDY = cast(Any, None)


def run(learning: Learning, fold: int, planned: int, told: int, strategy: Any) -> None:
    learning.begin(fold, planned, 100 * fold, 0.5)
    for trial in range(1, told + 1):
        learning.told(trial, 100 * fold + trial, 0.5 + trial / 10_000, strategy)
    learning.end(strategy, NO_STUDY)


@given(st.integers(1, 2_000), st.integers(1, 2), st.data())
def test_the_curve_is_short_and_has_both_ends_of_every_fold(planned: int, folds: int, data: st.DataObject) -> None:
    learning = Learning(folds)
    counts = [data.draw(st.integers(1, planned)) for _ in range(folds)]
    strategy = Knowing(0.75)
    for fold, told in enumerate(counts):
        run(learning, fold, planned, told, strategy)
    learned = learning.learned({})
    assert learned is not None and len(learned.curve) <= MOST_POINTS
    assert strategy.asked == len(learned.curve) - folds
    for fold, told in enumerate(counts):
        first, *rest = [point for point in learned.curve if point.fold == fold]
        assert (first.trials, first.calls, first.score, first.expected) == (0, 100 * fold, 0.5, None)
        assert (rest[-1].trials, rest[-1].calls, rest[-1].expected) == (told, 100 * fold + told, 0.75)
        assert [point.trials for point in rest] == sorted({point.trials for point in rest})
        assert all(point.score == round(0.5 + point.trials / 10_000, 5) for point in rest)


def test_few_trials_have_a_point_each() -> None:
    learning = Learning(1)
    run(learning, 0, 28, 28, Knowing())
    learned = learning.learned({})
    assert learned is not None
    assert [point.trials for point in learned.curve] == list(range(29))
    assert all(point.expected is None for point in learned.curve)


def test_without_a_trial_nothing_is_learned() -> None:
    learning = Learning(2)
    assert learning.learned({}) is None
    run(learning, 0, 8, 0, Knowing())
    assert learning.learned({}) is None


def test_a_fold_without_a_trial_adds_no_findings() -> None:
    one, both = Learning(2), Learning(2)
    run(one, 0, 8, 8, Knowing())
    run(both, 0, 8, 8, Knowing())
    run(both, 1, 8, 0, Knowing())
    first, second = one.learned({}), both.learned({})
    assert first is not None and second is not None and first.effects == second.effects
