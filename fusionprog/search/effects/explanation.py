"""What all outcomes together say of the effects: estimates that strong effects survive, with intervals that hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from fusionprog._internal.numerics import one_thread
from fusionprog.search.effects.columns import Places, Vector
from fusionprog.search.effects.history import History
from fusionprog.search.effects.model import EffectsModel

_FREEDOM = 3.0  # degrees of freedom of the priors: the fewer, the less is taken from an effect that is unusually strong
_STEPS, _CLOSE = 12, 1e-4  # steps at most, and how little an effect then changes, in units of the link
_MOST_WORK = 1e9  # rows times columns squared: what a step takes; more of it takes seconds
_BACKGROUND = frozenset({"level", "task", "ran"})  # kinds of columns that are no effects


@dataclass(frozen=True)
class Explanation:
    """What outcomes say of the effects.

    Attributes:
        mean: The effects, shape ``(n_columns,)``, in units of the link.
        covariances: How well they are known, each of shape ``(n_columns, n_columns)``: the widest counts.
    """

    mean: Vector
    covariances: tuple[Vector, ...]

    def spread(self, places: Places, values: Vector) -> Vector:
        """Returns the standard deviations of sums of effects, shape ``(n_sums,)``; arguments as of a ``Posterior``."""
        first, second = places[:, :, np.newaxis], places[:, np.newaxis, :]
        variances = [np.einsum("ijk,ij,ik->i", each[first, second], values, values) for each in self.covariances]
        return np.asarray(np.sqrt(np.max(variances, axis=0)))


def explain(model: EffectsModel, history: History) -> Explanation:
    """Returns what outcomes say of the effects, for people to read.

    A search draws from a posterior that is fast to keep up to date, and normal: it takes much from an effect that is
    far stronger than usual, and looks at outcomes from where they were first expected. Here, once, they are looked at
    from where they came out (Newton's method to its end), under priors of the same scales with the tails of Student's
    t distribution. Effects are known as well as that says, or as well as the sums over single rows of the data say, if
    these differ more: the same few rows are asked in many trials, and an item may help in some of them alone (the
    cluster-robust "sandwich" covariance).

    Args:
        model: The search's own model.
        history: What it has seen.

    Note:
        Where the history is not whole, or so large that a step would take seconds, it is what the model knows.

    References:
        West, "Outlier Models and Prior Distributions in Bayesian Linear Regression", 1984 (t as a mixture of normals).
        Liang and Zeger, "Longitudinal Data Analysis Using Generalized Linear Models", 1986 (the sandwich).
    """
    size = len(model.names)
    if not history.measured or not history.whole or len(history.measured) * size**2 > _MOST_WORK:
        return Explanation(model.known.mean, (model.known.covariance,))
    with one_thread():
        return _refitted(model, history)


def _refitted(model: EffectsModel, history: History) -> Explanation:
    rows, noise = history.rows, model.noise
    counts = np.array([float(each.count) for each in history.measured])
    totals = np.array([each.total for each in history.measured])
    squares = np.array([each.squares for each in history.measured])
    centre, scales = model.prior
    heavy = np.array([name[0] not in _BACKGROUND for name in model.names])
    mean = model.known.mean
    for _ in range(_STEPS):
        taken = model.link.seen(rows @ mean, counts, totals, squares)
        far = ((mean - centre) / scales) ** 2
        precision = np.where(heavy, (_FREEDOM + 1.0) / (_FREEDOM + far), 1.0) / scales**2
        matrix = (rows * taken.weights[:, np.newaxis]).T @ rows / noise + np.diag(precision)
        factor = cho_factor(matrix, lower=True, check_finite=False)
        before = mean
        mean = cho_solve(factor, precision * centre + taken.responses @ rows / noise, check_finite=False)
        if np.abs(mean - before).max() < _CLOSE:
            break
    covariance = cho_solve(factor, np.eye(len(mean)), check_finite=False)
    scores = _scores_by_row(history, model.link.score(rows @ mean)) @ rows / noise
    between = scores.T @ scores + np.diag(precision)
    return Explanation(mean, (covariance, covariance @ between @ covariance))


def _scores_by_row(history: History, expected: Vector) -> csr_array:
    """What outcomes are above what was expected, by the row of the data that they are of: one row each.

    With few rows of a task the sums differ too little among each other, by a factor that is put right.
    """
    places: dict[tuple[str, str], int] = {}
    found, columns, above = [], [], []
    for place, (each, usual) in enumerate(zip(history.measured, expected.tolist(), strict=True)):
        for example, score in zip(each.examples, each.scores, strict=True):
            found.append(places.setdefault((each.task, example), len(places)))
            columns.append(place)
            above.append(score - usual)
    of_task: dict[str, int] = {}
    for task, _ in places:
        of_task[task] = of_task.get(task, 0) + 1
    fair = np.array([np.sqrt(of_task[task] / max(1, of_task[task] - 1)) for task, _ in places])
    values = np.array(above) * fair[found]
    return csr_array((values, (found, columns)), shape=(len(places), len(history.measured)))
