"""Means, paired gains and bounds, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from fusionprog.runtime.record import Comparison, Score

_ROUNDING = 1e-12  # what is left of equal differences in floating point
CHANGED_SHARE = 0.2  # of the examples, an improved prompt typically changes about a fifth


def score_of(scores: Sequence[float]) -> Score:
    """Returns mean and standard error; the error of a single score is unknown and given as nan-free 0.5."""
    values = np.asarray(scores, dtype=float)
    if len(values) == 0:
        return Score(0.0, 0.0, 0)
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.5
    return Score(float(values.mean()), error, len(values))


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Returns the paired comparison of two score lists over the same examples, in the same order."""
    gain = score_of([new - old for old, new in zip(before, after, strict=True)])
    return Comparison(score_of(before), score_of(after), gain.mean, gain.se)


def mean_gain(
    gains: Mapping[str, Comparison], weights: Mapping[str, float] | None = None
) -> tuple[float, float, float]:
    """Returns mean gain over tasks, its standard error and its degrees of freedom (Welch–Satterthwaite).

    Args:
        gains: Task → paired comparison.
        weights: Task → how much it counts, above 0; all alike, if not given.
    """
    counts = {task: 1.0 if weights is None else weights[task] for task in gains}
    total = sum(counts.values())
    mean = sum(counts[task] * each.gain for task, each in gains.items()) / total
    parts = [(counts[task] ** 2 * each.se**2 / total**2, each.before.n) for task, each in gains.items()]
    variance = sum(part for part, _ in parts)
    shares = sum(part**2 / max(1, n - 1) for part, n in parts)
    return mean, math.sqrt(variance), variance**2 / shares if shares > 0 else math.inf


def lower_bound(
    gains: Mapping[str, Comparison],
    *,
    finalists: int,
    level: float = 0.05,
    weights: Mapping[str, float] | None = None,
) -> float:
    """Returns the one-sided lower bound of the mean gain over tasks.

    Args:
        gains: Task → paired comparison on examples that nothing was chosen on.
        finalists: How many candidates were compared; the level is shared out among them (Bonferroni).
        level: Probability of a bound above the truth, over all finalists.
        weights: As in ``mean_gain``; chosen without these examples.

    Note:
        Student's t with Welch–Satterthwaite degrees of freedom. Where every example changed alike, the error is 0 and
        the bound is the gain itself; a gain on so few examples that their signs can agree by chance is none.
    """
    mean, error, freedom = mean_gain(gains, weights)
    if error < _ROUNDING:
        n = sum(each.before.n for each in gains.values())
        return mean if mean <= 0 or 0.5**n <= level / finalists else 0.0
    return float(mean - stats.t.ppf(1 - level / finalists, max(1.0, freedom)) * error)


def upper_bound(gains: Mapping[str, Comparison], *, level: float = 0.05) -> float:
    """Returns the one-sided upper bound of the mean gain over tasks; see ``lower_bound``."""
    losses = {task: replace(each, gain=-each.gain) for task, each in gains.items()}
    return -lower_bound(losses, finalists=1, level=level)


def worst_gain(gains: Mapping[str, Comparison]) -> tuple[float, float]:
    """Returns how much the worst task's score rises, whichever task that is before and after, and its standard error.

    Args:
        gains: Task → paired comparison.
    """
    before = min(gains, key=lambda task: gains[task].before.mean)
    after = min(gains, key=lambda task: gains[task].after.mean)
    risen = _risen(gains, before, after)
    return risen.gain, risen.se


def worst_lower_bound(gains: Mapping[str, Comparison], *, finalists: int, level: float = 0.05) -> float:
    """Returns the one-sided lower bound of how much the worst task's score rises.

    Args:
        gains: Task → paired comparison on examples that nothing was chosen on.
        finalists: How many candidates were compared; the level is shared out among them (Bonferroni).
        level: Probability of a bound above the truth, over all finalists.

    Note:
        The rise is ``max over s of min over t of (after[t] - before[s])``, and so is its bound: for one ``s``, the
        least of the bounds is too high only where that of the truly worst task after is (an intersection–union test);
        the level is shared out over ``s``, since it is not known which task is the worst one before. A task against
        itself is paired, against another one it is not.

    References:
        Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling", 1982.
    """
    tries = finalists * len(gains)
    return max(
        min(lower_bound({after: _risen(gains, before, after)}, finalists=tries, level=level) for after in gains)
        for before in gains
    )


def _risen(gains: Mapping[str, Comparison], before: str, after: str) -> Comparison:
    """One task after against one before, which are paired only if they are the same."""
    if before == after:
        return gains[after]
    old, new = gains[before].before, gains[after].after
    fewer = min(old.n, new.n)
    return Comparison(
        Score(old.mean, old.se, fewer), Score(new.mean, new.se, fewer), new.mean - old.mean, math.hypot(old.se, new.se)
    )


def visible_gain(n: int) -> float:
    """Returns the smallest gain that ``n`` examples can show, if a fifth of the outcomes change.

    One-sided 95% bound of a paired difference: ``1.645 * sqrt(0.2 / n)``.
    """
    return 1.645 * math.sqrt(CHANGED_SHARE / n)
