"""Means, paired gains and bounds: against scipy, by hand, and by simulation with fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fusionprog.evaluation.statistics import compare, lower_bound, mean_gain, score_of, visible_gain
from fusionprog.runtime.record import Comparison, Score

SCORES = st.lists(st.floats(-5, 5), min_size=2, max_size=30)


@given(SCORES)
def test_mean_and_standard_error_are_scipys(values: list[float]) -> None:
    score = score_of(values)

    assert score.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert score.se == pytest.approx(stats.sem(values), abs=1e-12)
    assert score.n == len(values)


def test_few_scores() -> None:
    assert score_of([]) == Score(0.0, 0.0, 0)
    assert score_of([0.3]) == Score(0.3, 0.5, 1)
    assert score_of([1.0, 1.0, 1.0]) == Score(1.0, 0.0, 3)
    assert score_of([0.0, 1.0]) == Score(0.5, 0.5, 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30))
def test_a_comparison_is_paired(pairs: list[tuple[float, float]]) -> None:
    before, after = [list(side) for side in zip(*pairs, strict=True)]
    compared = compare(before, after)
    gains = np.subtract(after, before)

    assert compared.gain == pytest.approx(gains.mean(), abs=1e-12)
    assert compared.se == pytest.approx(stats.sem(gains), abs=1e-12)
    assert compared.before == score_of(before) and compared.after == score_of(after)


def test_lists_of_different_length_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([1.0], [1.0, 0.0])


def test_the_mean_gain_of_two_tasks_is_welchs() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 1.0, 12), rng.normal(0.3, 2.0, 40)
    gains = {"a": compare([0.0] * 12, list(first)), "b": compare([0.0] * 40, list(second))}

    mean, error, freedom = mean_gain(gains)

    # The mean of two means is half of their sum: Welch's test of first against -second has the same t and freedom.
    welch = stats.ttest_ind(first, -second, equal_var=False)
    assert 2 * mean == pytest.approx(first.mean() + second.mean())
    assert mean / error == pytest.approx(welch.statistic)
    assert freedom == pytest.approx(welch.df)


def test_the_bound_of_one_task_is_students() -> None:
    values = [1.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0, 0.0]
    expected = stats.ttest_1samp(values, 0.0, alternative="greater").confidence_interval(0.95).low

    assert lower_bound({"a": compare([0.0] * 8, values)}, finalists=1) == pytest.approx(expected)


def test_the_level_is_shared_out_among_finalists() -> None:
    gains = {"a": compare([0.0] * 8, [1.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0, 0.0])}

    assert lower_bound(gains, finalists=5, level=0.05) == pytest.approx(lower_bound(gains, finalists=1, level=0.01))
    assert lower_bound(gains, finalists=5) < lower_bound(gains, finalists=1)


def equal_gains(gain: float, n: int) -> dict[str, Comparison]:
    return {"a": compare([0.5] * n, [0.5 + gain] * n)}


def test_where_nothing_changed_nothing_is_proven() -> None:
    assert lower_bound(equal_gains(0.0, 30), finalists=3) == 0.0
    assert lower_bound(equal_gains(-0.25, 30), finalists=3) == -0.25


@pytest.mark.parametrize(
    ("n", "finalists", "proven"), [(4, 1, False), (5, 1, True), (5, 3, False), (6, 3, True), (30, 3, True)]
)
@pytest.mark.parametrize("gain", [0.25, 0.1])
def test_equal_gains_prove_something_where_chance_could_not_make_them(
    n: int, finalists: int, proven: bool, gain: float
) -> None:
    bound = lower_bound(equal_gains(gain, n), finalists=finalists)

    assert bound == (pytest.approx(gain) if proven else 0.0)


def test_one_example_proves_nothing() -> None:
    assert lower_bound({"a": compare([0.0], [1.0])}, finalists=1) < 0.0
    assert lower_bound({"a": compare([0.0], [1.0]), "b": compare([0.0], [1.0])}, finalists=1) < 0.0


def test_a_task_in_which_nothing_changed_does_not_hide_the_others_error() -> None:
    noisy = compare([0.0] * 8, [1.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0, 0.0])
    still = compare([1.0] * 8, [1.0] * 8)

    both = lower_bound({"a": noisy, "b": still}, finalists=1)

    assert both == pytest.approx(lower_bound({"a": noisy}, finalists=1) / 2)


def false_positives(n: int, changed: float, tasks: int, runs: int, seed: int) -> float:
    """How often one of three finalists that are no better than the program as written passes."""
    rng = np.random.default_rng(seed)
    passed = 0
    for _ in range(runs):
        before = (rng.random((tasks, n)) < 0.6).astype(float)
        bounds = []
        for _ in range(3):
            redrawn = (rng.random((tasks, n)) < 0.6).astype(float)
            after = np.where(rng.random((tasks, n)) < changed, redrawn, before)
            gains = {str(task): compare(list(before[task]), list(after[task])) for task in range(tasks)}
            bounds.append(lower_bound(gains, finalists=3))
        passed += max(bounds) > 0
    return passed / runs


@pytest.mark.parametrize(
    ("n", "changed", "tasks"), [(20, 0.2, 1), (20, 1.0, 1), (40, 0.5, 1), (100, 0.2, 1), (30, 0.4, 2), (20, 1.0, 3)]
)
def test_equal_finalists_pass_in_at_most_one_of_twenty_compiles(n: int, changed: float, tasks: int) -> None:
    runs = 600
    noise = 3 * math.sqrt(0.05 * 0.95 / runs)

    assert false_positives(n, changed, tasks, runs, seed=7) <= 0.05 + noise


def test_a_bound_without_correction_would_pass_more_often() -> None:
    """The simulation can fail: three finalists at 5% each are too many."""
    rng = np.random.default_rng(7)
    passed = 0
    for _ in range(400):
        bounds = [lower_bound({"a": compare([0.0] * 40, list(rng.normal(0, 1, 40)))}, finalists=1) for _ in range(3)]
        passed += max(bounds) > 0

    assert passed / 400 > 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_real_gain_is_found() -> None:
    rng = np.random.default_rng(3)
    before = (rng.random(100) < 0.5).astype(float)
    after = np.where(rng.random(100) < 0.5, 1.0, before)

    assert lower_bound({"a": compare(list(before), list(after))}, finalists=3) > 0.1


def test_the_gain_that_can_be_seen_shrinks_with_the_root_of_n() -> None:
    assert visible_gain(40) == pytest.approx(0.1163, abs=1e-4)
    assert visible_gain(160) == pytest.approx(visible_gain(40) / 2)
