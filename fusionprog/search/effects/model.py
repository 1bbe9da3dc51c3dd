"""A Bayesian linear model of outcomes: its posterior, draws from it, and the scales of its priors."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from threadpoolctl import ThreadpoolController

from fusionprog.search.effects.columns import Column, Kind, Row

Vector = npt.NDArray[np.float64]

_libraries = functools.cache(ThreadpoolController)  # finding them takes a while

_USUAL: Mapping[Kind, float] = {
    "level": 0.5,
    "task": 0.2,
    "everywhere": 0.08,
    "at_node": 0.05,
    "by_task_kind": 0.05,
    "in_task": 0.03,
    "format": 0.05,
    "amount": 0.05,
}
_LEVEL = 0.3  # what a task scores before anything is known
_LEAST_NOISE = 0.01
# Prior scales that are compared, as factors of the usual ones: how much items do everywhere, and how much tasks differ.
_FACTORS = [(shared, own) for shared in (0.5, 1.0, 2.0) for own in (0.3, 1.0, 3.0)]


def _one_thread() -> AbstractContextManager[Any]:
    """Numerics on one BLAS thread: sums in another order are other numbers."""
    limited: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limited


@dataclass
class Observations:
    """Outcomes that show the same columns, added up.

    Attributes:
        row: The columns.
        count: How many outcomes.
        total: The sum of their scores.
        squares: The sum of the squares of their scores.
    """

    row: Row
    count: int
    total: float
    squares: float


@dataclass
class Posterior:
    """What is known of the effects.

    Attributes:
        mean: Their means, shape ``(n_columns,)``.
        factor: Lower Cholesky factor of their precision, shape ``(n_columns, n_columns)``.
    """

    mean: Vector
    factor: Vector

    def draw(self, seed: int) -> Vector:
        """Returns one draw of all effects, shape ``(n_columns,)``; equal seeds draw alike."""
        noise = np.random.default_rng(seed).standard_normal(len(self.mean))
        with _one_thread():
            around = solve_triangular(self.factor, noise, lower=True, trans="T", check_finite=False)
        return np.asarray(self.mean + around)

    def spread(self, directions: Vector) -> Vector:
        """Returns the standard deviations of sums of effects.

        Args:
            directions: How much of each effect is in each sum, shape ``(n_sums, n_columns)``.
        """
        with _one_thread():
            solved = solve_triangular(self.factor, directions.T, lower=True, check_finite=False)
        return np.asarray(np.sqrt(np.sum(solved**2, axis=0)))


@dataclass
class EffectsModel:
    """Outcomes are sums of effects and noise; every effect has a normal prior around a mean.

    Args:
        names: The columns.
        prior: Column → the mean of its prior; 0 where it is not named.

    Note:
        Everything is computed from the ordered history on one BLAS thread, so that the same history gives the same
        bits on a platform. A solution takes about ``n_columns**3 / 3`` multiplications.

    References:
        Bishop, "Pattern Recognition and Machine Learning", 2006, section 3.3 (posterior) and 3.5 (evidence).
    """

    names: Sequence[Column]
    prior: Mapping[Column, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = len(self.names)
        self._centre = np.array([self.prior.get(name, 0.0) for name in self.names])
        self._centre[0] += _LEVEL
        self._usual = np.array([_USUAL[name[0]] for name in self.names])  # type: ignore[index]
        shared = {"everywhere", "at_node", "format", "amount"}
        self._is_shared = np.array([name[0] in shared for name in self.names])
        self._is_own = np.array([name[0] in ("by_task_kind", "in_task") for name in self.names])
        self._products = np.zeros((size, size))
        self._sums = np.zeros(size)
        self._squares = self._total = 0.0
        self._count = 0
        self._factors = (1.0, 1.0)
        self._posterior: Posterior | None = None

    @property
    def count(self) -> int:
        """Outcomes that were seen."""
        return self._count

    def add(self, seen: Observations) -> None:
        """Adds outcomes."""
        places, values = seen.row
        self._products[np.ix_(places, places)] += seen.count * np.outer(values, values)
        self._sums[places] += seen.total * values
        self._squares += seen.squares
        self._total += seen.total
        self._count += seen.count
        self._posterior = None

    @property
    def noise(self) -> float:
        """The variance of an outcome around its mean: at most that of all outcomes."""
        if self._count < 2:
            return 0.25
        mean = self._total / self._count
        return max(_LEAST_NOISE, self._squares / self._count - mean**2)

    @property
    def posterior(self) -> Posterior:
        """What is known of the effects now."""
        if self._posterior is None:
            self._posterior, _ = self._solve(self._factors)
        return self._posterior

    def learn_scales(self) -> None:
        """Chooses the prior scales under which what was seen is most probable (empirical Bayes)."""
        evidence = {factors: self._solve(factors)[1] for factors in _FACTORS}
        self._factors = max(_FACTORS, key=lambda factors: (evidence[factors], -abs(np.log(factors)).sum()))
        self._posterior = None

    def _solve(self, factors: tuple[float, float]) -> tuple[Posterior, float]:
        """The posterior under prior scales, and the log evidence up to what all scales share."""
        shared, own = factors
        scales = self._usual * np.where(self._is_shared, shared, 1.0) * np.where(self._is_own, own, 1.0)
        precision = 1.0 / scales**2
        noise = self.noise
        with _one_thread():
            matrix = self._products / noise
            matrix[np.diag_indices_from(matrix)] += precision
            factor, _ = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
            right = precision * self._centre + self._sums / noise
            mean = cho_solve((factor, True), right, check_finite=False)
        logs = np.log(scales).sum() + np.log(np.diag(factor)).sum()
        fit = self._squares / noise + precision @ self._centre**2 - right @ mean
        return Posterior(mean, factor), float(-logs - 0.5 * fit)
