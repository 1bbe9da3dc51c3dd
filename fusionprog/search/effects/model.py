"""A Bayesian linear model of outcomes: its posterior, draws from it, and the scales of its priors."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from threadpoolctl import ThreadpoolController

from fusionprog.search.effects.columns import Column, Kind, Places, Vector

_libraries = functools.cache(ThreadpoolController)  # finding them takes a while

# Standard deviations of effects before anything is known, in units of score.
_USUAL: Mapping[Kind, float] = {
    "level": 0.5,
    "task": 0.2,
    "everywhere": 0.08,
    "at_node": 0.05,
    "by_task_kind": 0.05,
    "in_task": 0.03,
    "choice": 0.05,
    "amount": 0.05,
}
_SHARED: frozenset[Kind] = frozenset({"everywhere", "at_node", "choice", "amount"})
_OWN: frozenset[Kind] = frozenset({"by_task_kind", "in_task"})
_LEVEL = 0.3  # what a task scores before anything is known
# The variance of outcomes that are right or wrong is a quarter at most; some count as seen, so that a few equal
# outcomes are not taken for certainty.
_USUAL_NOISE, _AS_IF_SEEN, _LEAST_NOISE = 0.25, 10, 0.01
# Prior scales that are compared, as factors of the usual ones: how much items do everywhere, and how much tasks differ.
_FACTORS = [(shared, own) for shared in (0.5, 1.0, 2.0) for own in (0.3, 1.0, 3.0)]


def _one_thread() -> AbstractContextManager[Any]:
    """Numerics on one BLAS thread: sums in another order are other numbers."""
    limited: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limited


@dataclass(frozen=True)
class Observations:
    """Outcomes that show the same columns, added up.

    Attributes:
        row: How much of every column they show, shape ``(n_columns,)``.
        count: How many outcomes.
        total: The sum of their scores.
        squares: The sum of the squares of their scores.
    """

    row: Vector
    count: int
    total: float
    squares: float


@dataclass(frozen=True)
class Posterior:
    """What is known of the effects: a normal distribution.

    Attributes:
        mean: Their means, shape ``(n_columns,)``.
        factor: Lower Cholesky factor of their precision, shape ``(n_columns, n_columns)``; what is above its diagonal
            has no meaning.
    """

    mean: Vector
    factor: Vector

    def draw(self, seed: int) -> Vector:
        """Returns one draw of all effects, shape ``(n_columns,)``; equal seeds draw alike."""
        noise = np.random.default_rng(seed).standard_normal(len(self.mean))
        with _one_thread():
            around = solve_triangular(self.factor, noise, lower=True, trans="T", check_finite=False)
        return np.asarray(self.mean + around)

    @cached_property
    def covariance(self) -> Vector:
        """Covariances of the effects, shape ``(n_columns, n_columns)``."""
        with _one_thread():
            return np.asarray(cho_solve((self.factor, True), np.eye(len(self.mean)), check_finite=False))

    def spread(self, places: Places, values: Vector) -> Vector:
        """Returns the standard deviations of sums of effects, shape ``(n_sums,)``.

        Args:
            places: The columns in each sum, shape ``(n_sums, n_parts)``.
            values: How much of each part is in a sum, shape ``(n_parts,)``.
        """
        between = self.covariance[places[:, :, np.newaxis], places[:, np.newaxis, :]]
        return np.asarray(np.sqrt(np.einsum("ijk,j,k->i", between, values, values)))


@dataclass
class EffectsModel:
    """Outcomes are sums of effects and noise; every effect has a normal prior around a mean.

    Args:
        names: The columns, the level first.
        prior: Column → the mean of its prior; 0 where it is not named, and what tasks usually score for the level.

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
        self._centre = np.array([self.prior.get(name, _LEVEL if name[0] == "level" else 0.0) for name in self.names])
        self._usual = np.array([_USUAL[name[0]] for name in self.names])  # type: ignore[index]
        self._is_shared = np.array([name[0] in _SHARED for name in self.names])
        self._is_own = np.array([name[0] in _OWN for name in self.names])
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

    @property
    def factors(self) -> tuple[float, float]:
        """Scales of the priors, as factors of the usual ones: of what all tasks share, and of how they differ."""
        return self._factors

    def add(self, seen: Sequence[Observations]) -> None:
        """Adds outcomes."""
        if not seen:
            return
        rows = np.stack([each.row for each in seen])
        counts = np.array([float(each.count) for each in seen])
        with _one_thread():
            self._products += (rows * counts[:, np.newaxis]).T @ rows
            self._sums += np.array([each.total for each in seen]) @ rows
        self._squares += sum(each.squares for each in seen)
        self._total += sum(each.total for each in seen)
        self._count += sum(each.count for each in seen)
        self._posterior = None

    @property
    def noise(self) -> float:
        """The variance of an outcome around its mean, taken to be that of all outcomes around theirs."""
        around = self._squares - self._total**2 / self._count if self._count else 0.0
        return max(_LEAST_NOISE, (around + _AS_IF_SEEN * _USUAL_NOISE) / (self._count + _AS_IF_SEEN))

    @property
    def unit(self) -> float:
        """What scores are measured in: 1 for those in [0, 1], more where they spread wider (marks of 0 to 100)."""
        return max(1.0, float(np.sqrt(self.noise / _USUAL_NOISE)))

    @property
    def posterior(self) -> Posterior:
        """What is known of the effects now."""
        if self._posterior is None:
            self._posterior, _ = self._solve(self._factors)
        return self._posterior

    def evidence(self, factors: tuple[float, float]) -> float:
        """Returns the log probability of what was seen under prior scales, up to what all scales have in common.

        Args:
            factors: As in the attribute ``factors``, both above 0.
        """
        return self._solve(factors)[1]

    def learn_scales(self) -> None:
        """Chooses the prior scales under which what was seen is most probable (empirical Bayes)."""
        able = [each for each in _FACTORS if each[1] == 1.0 or self._is_own.any()]
        evidence = {factors: self.evidence(factors) for factors in able}
        self._factors = max(able, key=lambda factors: (evidence[factors], -abs(np.log(factors)).sum()))
        self._posterior = None

    def _solve(self, factors: tuple[float, float]) -> tuple[Posterior, float]:
        shared, own = factors
        scales = self._usual * np.where(self._is_shared, shared, 1.0) * np.where(self._is_own, own, 1.0) * self.unit
        precision = 1.0 / scales**2
        noise = self.noise
        with _one_thread():
            matrix = self._products / noise
            matrix[np.diag_indices_from(matrix)] += precision
            # Handed over transposed, which is the same: LAPACK then works in place instead of on a copy.
            factor, _ = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
            right = precision * self._centre + self._sums / noise
            mean = cho_solve((factor, True), right, check_finite=False)
        logs = np.log(scales).sum() + np.log(np.diag(factor)).sum()
        fit = self._squares / noise + precision @ self._centre**2 - right @ mean
        return Posterior(mean, factor), float(-logs - 0.5 * fit)
