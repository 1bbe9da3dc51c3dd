"""Means, paired gains and bounds, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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


def mean_gain(gains: Mapping[str, Comparison]) -> tuple[float, float, float]:
    """Returns mean gain over tasks, its standard error and its degrees of freedom (Welch–Satterthwaite)."""
    count = len(gains)
    mean = sum(each.gain for each in gains.values()) / count
    parts = [(each.se**2 / count**2, each.before.n) for each in gains.values()]
    variance = sum(part for part, _ in parts)
    shares = sum(part**2 / max(1, n - 1) for part, n in parts)
    return mean, math.sqrt(variance), variance**2 / shares if shares > 0 else math.inf


def lower_bound(gains: Mapping[str, Comparison], *, finalists: int, level: float = 0.05) -> float:
    """Returns the one-sided lower bound of the mean gain over tasks.

    Args:
        gains: Task → paired comparison on examples that nothing was chosen on.
        finalists: How many candidates were compared; the level is shared out among them (Bonferroni).
        level: Probability of a bound above the truth, over all finalists.

    Note:
        Student's t with Welch–Satterthwaite degrees of freedom. Where every example changed alike, the error is 0 and
        the bound is the gain itself; a gain on so few examples that their signs can agree by chance is none.
    """
    mean, error, freedom = mean_gain(gains)
    if error < _ROUNDING:
        n = sum(each.before.n for each in gains.values())
        return mean if mean <= 0 or 0.5**n <= level / finalists else 0.0
    return float(mean - stats.t.ppf(1 - level / finalists, max(1.0, freedom)) * error)


def visible_gain(n: int) -> float:
    """Returns the smallest gain that ``n`` examples can show, if a fifth of the outcomes change.

    One-sided 95% bound of a paired difference: ``1.645 * sqrt(0.2 / n)``.
    """
    return 1.645 * math.sqrt(CHANGED_SHARE / n)
