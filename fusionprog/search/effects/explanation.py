"""What all outcomes together say of the effects: estimates that strong effects survive, with intervals that hold."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from fusionprog._internal.numerics import one_thread
from fusionprog.search.effects.columns import SETTINGS, Places, Vector
from fusionprog.search.effects.history import History
from fusionprog.search.effects.model import NONE, EffectsModel, Factors

_FREEDOM = 3.0  # degrees of freedom of the priors: the fewer, the less is taken from an effect that is unusually strong
_STEPS, _CLOSE = 12, 1e-4  # steps at most, and how little an effect then changes, in units of the link
# Scales of priors that are looked at, as a model has them: wider ones than a search's, which would draw too wildly.
_SCALES = [
    (shared, own, by_kind)
    for by_kind in (1.0, NONE)
    for shared in (0.2, 0.5, 1.0, 2.0, 4.0)
    for own in (0.3, 1.0, 3.0, 6.0)
]
_SETTING = 4.0  # by how much settings' priors are wider than a search's: there are too few of them to learn it
_UNLIKELY = 0.05  # scales that are less probable than this do not count
_MOST_WORK = 2e9  # measurements times columns squared: what a step takes; with more of it all of them take long
_BACKGROUND = frozenset({"level", "task", "ran"})  # kinds of columns that are no effects


@dataclass(frozen=True)
class View:
    """What outcomes say of the effects under one belief of how large effects usually are.

    Attributes:
        weight: How probable that belief is by what was seen; those of all views sum to 1.
        mean: The effects, shape ``(n_columns,)``, in units of the link.
        covariances: How well they are known, each of shape ``(n_columns, n_columns)``: the widest counts.
    """

    weight: float
    mean: Vector
    covariances: tuple[Vector, ...]


@dataclass(frozen=True)
class Explanation:
    """What outcomes say of the effects.

    Attributes:
        views: What they say under each belief, at least one.
    """

    views: tuple[View, ...]

    @cached_property
    def mean(self) -> Vector:
        """The effects, shape ``(n_columns,)``, in units of the link."""
        return np.asarray(sum(each.weight * each.mean for each in self.views))

    def spread(self, places: Places, values: Vector) -> Vector:
        """Returns the standard deviations of sums of effects, shape ``(n_sums,)``; arguments as of a ``Posterior``."""
        first, second = places[:, :, np.newaxis], places[:, np.newaxis, :]
        total = np.zeros(len(places))
        for view in self.views:
            apart = ((view.mean - self.mean)[places] * values).sum(axis=1)
            known = [np.einsum("ijk,ij,ik->i", each[first, second], values, values) for each in view.covariances]
            total += view.weight * (np.max(known, axis=0) + apart**2)
        return np.asarray(np.sqrt(total))


def explain(model: EffectsModel, history: History) -> Explanation:
    """Returns what outcomes say of the effects, for people to read.

    A search draws from a posterior that is fast to keep up to date, and normal: it takes much from an effect that is
    far stronger than usual, looks at outcomes from where they were first expected, and takes the likeliest scales of
    effects for certain. Here, once, outcomes are looked at from where they came out (Newton's method to its end), under
    priors with the tails of Student's t distribution, of all scales that are likely by what was seen. Effects are known
    as well as that says, or as well as the sums over single rows of the data say, if these differ more: the same few
    rows are asked in many trials, and an item may help in some of them alone (the cluster-robust "sandwich").

    Args:
        model: The search's own model.
        history: What it has seen.

    Note:
        Where the history is not whole, or so large that this would take many seconds, it is what the model knows.

    References:
        West, "Outlier Models and Prior Distributions in Bayesian Linear Regression", 1984 (t as a mixture of normals).
        Liang and Zeger, "Longitudinal Data Analysis Using Generalized Linear Models", 1986 (the sandwich).
    """
    size = len(model.names)
    if not history.measured or not history.whole or len(history.measured) * size**2 > _MOST_WORK:
        return Explanation((View(1.0, model.known.mean, (model.known.covariance,)),))
    with one_thread():
        outcomes, likely = _Outcomes.of(history), model.likely_scales(_SCALES, _UNLIKELY)
        return Explanation(tuple(_refitted(model, outcomes, factors, weight) for factors, weight in likely.items()))


@dataclass(frozen=True)
class _Outcomes:
    """What was measured, as arrays; a measurement is all outcomes of a trial in a task.

    Attributes:
        rows: How much of every column each measurement shows, shape ``(n_measured, n_columns)``.
        counts: Its outcomes, shape ``(n_measured,)``.
        totals: The sums of their scores.
        squares: The sums of the squares of these.
        by_example: The numbers of outcomes by row of the data, shape ``(n_examples, n_measured)``.
        scores: The sums of their scores, likewise. With few rows of a task such sums differ too little among each
            other, by a factor that is put right in both.
    """

    rows: Vector
    counts: Vector
    totals: Vector
    squares: Vector
    by_example: csr_array
    scores: csr_array

    @classmethod
    def of(cls, history: History) -> _Outcomes:
        """Returns a history as arrays."""
        places: dict[tuple[str, str], int] = {}
        examples_of: Counter[str] = Counter()
        found, columns, scores = [], [], []
        for column, each in enumerate(history.measured):
            for example, score in zip(each.examples, each.scores, strict=True):
                if (each.task, example) not in places:
                    places[each.task, example] = len(places)
                    examples_of[each.task] += 1
                found.append(places[each.task, example])
                columns.append(column)
                scores.append(score)
        fair = np.array([math.sqrt(examples_of[task] / max(1, examples_of[task] - 1)) for task, _ in places])[found]
        shape = (len(places), len(history.measured))
        return cls(
            history.rows,
            np.array([float(each.count) for each in history.measured]),
            np.array([each.total for each in history.measured]),
            np.array([each.squares for each in history.measured]),
            csr_array((fair, (found, columns)), shape=shape),
            csr_array((fair * np.array(scores), (found, columns)), shape=shape),
        )


def _refitted(model: EffectsModel, seen: _Outcomes, factors: Factors, weight: float) -> View:
    rows, noise = seen.rows, model.noise
    centre, scales = model.prior(factors)
    scales = scales * np.where([name[0] in SETTINGS for name in model.names], _SETTING, 1.0)
    heavy = np.array([name[0] not in _BACKGROUND for name in model.names])
    mean = model.known.mean
    for _ in range(_STEPS):
        taken = model.link.seen(rows @ mean, seen.counts, seen.totals, seen.squares)
        far = ((mean - centre) / scales) ** 2
        precision = np.where(heavy, (_FREEDOM + 1.0) / (_FREEDOM + far), 1.0) / scales**2
        matrix = (rows * taken.weights[:, np.newaxis]).T @ rows / noise + np.diag(precision)
        factor = cho_factor(matrix, lower=True, check_finite=False)
        before = mean
        mean = cho_solve(factor, precision * centre + taken.responses @ rows / noise, check_finite=False)
        if np.abs(mean - before).max() < _CLOSE:
            break
    covariance = cho_solve(factor, np.eye(len(mean)), check_finite=False)
    expected = model.link.score(rows @ mean)
    above = (seen.scores @ rows - seen.by_example @ (expected[:, np.newaxis] * rows)) / noise
    between = above.T @ above + np.diag(precision)
    return View(weight, mean, (covariance, covariance @ between @ covariance))
