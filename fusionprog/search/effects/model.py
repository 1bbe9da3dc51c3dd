"""A Bayesian linear model of outcomes: its posterior, draws from it, and the scales of its priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from fusionprog._internal.canonical import seed_of
from fusionprog._internal.numerics import one_thread
from fusionprog.search.effects.columns import Column, Kind, Places, Vector
from fusionprog.search.effects.link import Link, Logistic
from fusionprog.search.effects.prior import Hypothesis

# Standard deviations of effects before anything is known, in units of score.
USUAL: Mapping[Kind, float] = {
    "level": 0.5,
    "task": 0.2,
    "ran": 0.2,
    "everywhere": 0.08,
    "at_node": 0.05,
    "by_task_kind": 0.05,
    "in_task": 0.03,
    "pair": 0.08,
    "choice": 0.05,
    "amount": 0.05,
}
_SHARED: frozenset[Kind] = frozenset({"everywhere", "at_node", "choice", "amount"})
_OWN: frozenset[Kind] = frozenset({"by_task_kind", "in_task"})
_LEVEL = 0.3  # what a task scores before anything is known
# The variance of outcomes that are right or wrong is a quarter at most; some count as seen, so that a few equal
# outcomes are not taken for certainty.
_USUAL_NOISE, _AS_IF_SEEN, _LEAST_NOISE = 0.25, 10, 0.01
# Prior scales that are compared, as factors of the usual ones: how much items do everywhere, how much tasks differ in
# all, and how much of that goes by their kind.
NONE = 1e-3
_FACTORS = [
    (shared, own, by_kind) for by_kind in (1.0, NONE) for shared in (0.2, 0.5, 1.0, 2.0) for own in (0.3, 1.0, 3.0)
]

_DROPPED = 0.01  # a hypothesis that is less probable than this counts no more

Factors = tuple[float, float, float]


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
        factor: Lower Cholesky factor of their precision times ``scale**2``, shape ``(n_columns, n_columns)``; what is
            above its diagonal has no meaning.
        scale: The unit of the factor, in that of the means.
    """

    mean: Vector
    factor: Vector
    scale: float = 1.0

    def draw(self, seed: int) -> Vector:
        """Returns one draw of all effects, shape ``(n_columns,)``; equal seeds draw alike."""
        noise = np.random.default_rng(seed).standard_normal(len(self.mean))
        with one_thread():
            around = solve_triangular(self.factor, noise, lower=True, trans="T", check_finite=False)
        return np.asarray(self.mean + self.scale * around)

    @cached_property
    def covariance(self) -> Vector:
        """Covariances of the effects, shape ``(n_columns, n_columns)``."""
        with one_thread():
            inverse = cho_solve((self.factor, True), np.eye(len(self.mean)), check_finite=False)
        return np.asarray(self.scale**2 * inverse)

    def spread(self, places: Places, values: Vector) -> Vector:
        """Returns the standard deviations of sums of effects, shape ``(n_sums,)``.

        Args:
            places: The columns in each sum, shape ``(n_sums, n_parts)``.
            values: How much of each is in it, shape ``(n_sums, n_parts)``.
        """
        between = self.covariance[places[:, :, np.newaxis], places[:, np.newaxis, :]]
        return np.asarray(np.sqrt(np.einsum("ijk,ij,ik->i", between, values, values)))

    def times(self, scale: float) -> Posterior:
        """Returns what is known of the effects in another unit."""
        return Posterior(self.mean * scale, self.factor, self.scale * scale)


@dataclass
class EffectsModel:
    """Outcomes are sums of effects, seen through a link, and noise; every effect has a normal prior around a mean.

    Args:
        names: The columns, the level first.
        hypotheses: What may be believed of the effects before anything is seen, at least one. The prior is their
            mixture, with its mean and variance, by how probable they are by what was seen.
        link: What is between a sum of effects and a score.
        usual: Kind of column → the standard deviation of its effects before anything is known, in units of score.

    Attributes:
        factors: Scales of the priors, as factors of the usual ones: of what all tasks share, of how they differ, and
            of how much of that goes by their kind. They do not touch scales that a hypothesis names.
        shares: How probable each hypothesis is.

    Note:
        Everything is computed from the ordered history on one BLAS thread, so that the same history gives the same
        bits on a platform. A solution takes about ``n_columns**3 / 3`` multiplications.

    References:
        Bishop, "Pattern Recognition and Machine Learning", 2006, section 3.3 (posterior) and 3.5 (evidence).
        Hoeting, Madigan, Raftery and Volinsky, "Bayesian Model Averaging: A Tutorial", 1999.
    """

    names: Sequence[Column]
    hypotheses: Sequence[Hypothesis] = (Hypothesis(),)
    link: Link = field(default_factory=Logistic)
    usual: Mapping[Kind, float] = field(default_factory=lambda: USUAL)

    def __post_init__(self) -> None:
        size = len(self.names)
        self.factors: Factors = (1.0, 1.0, 1.0)
        self.shares = _normalised(np.array([each.weight for each in self.hypotheses]))
        self._products = np.zeros((size, size))
        self._sums = np.zeros(size)
        self._fit = self._squares = self._total = self._weight = 0.0
        self._count = 0
        self._known: Posterior | None = None
        self._stale = False
        self._describe()

    def _describe(self) -> None:
        """What is said of the columns by their names."""
        level = self.link.sum_of(_LEVEL)
        usual_centre = np.array([level if name[0] == "level" else 0.0 for name in self.names])
        means = [[each.means.get(name, np.nan) for name in self.names] for each in self.hypotheses]
        scales = [[each.scales.get(name, np.nan) for name in self.names] for each in self.hypotheses]
        known = np.array(means) / self.link.steepest
        self._centres = np.where(np.isnan(known), usual_centre, known)  # shape (n_hypotheses, n_columns)
        self._scales = np.array(scales) / self.link.steepest  # nan: the usual one
        usual = [self.usual[name[0]] for name in self.names]  # type: ignore[index]
        self._usual = np.array(usual) / self.link.steepest
        self._is_shared = np.array([name[0] in _SHARED for name in self.names])
        self._is_own = np.array([name[0] in _OWN for name in self.names])
        self._is_by_kind = np.array([name[0] == "by_task_kind" for name in self.names])

    @property
    def count(self) -> int:
        """Outcomes that were seen."""
        return self._count

    def add(self, seen: Sequence[Observations]) -> tuple[Vector, Vector]:
        """Adds outcomes; returns the weights and responses that they were taken in with, a number per row each.

        They are looked at from where they were expected when the posterior was last asked for.
        """
        rows = np.stack([each.row for each in seen])
        counts = np.array([float(each.count) for each in seen])
        totals, squares = np.array([each.total for each in seen]), np.array([each.squares for each in seen])
        with one_thread():
            taken = self.link.seen(rows @ self.known.mean, counts, totals, squares)
            self._products += (rows * taken.weights[:, np.newaxis]).T @ rows
            self._sums += taken.responses @ rows
        self._fit += taken.squares
        self._weight += float(taken.weights.sum())
        self._squares += float(squares.sum())
        self._total += float(totals.sum())
        self._count += int(counts.sum())
        self._stale = True
        return taken.weights, taken.responses

    def open(self, name: Column, products: Vector, total: float) -> None:
        """Adds a column for an effect that was left out so far.

        Args:
            name: The column.
            products: Over all that was seen, the weighted products with every column and, last, with itself, shape
                ``(n_columns + 1,)``.
            total: The sum of the responses of those that show it.
        """
        self.names = (*self.names, name)
        self._products = np.pad(self._products, (0, 1))
        self._products[-1], self._products[:, -1] = products, products
        self._sums = np.append(self._sums, total)
        self._known = None
        self._describe()

    @property
    def noise(self) -> float:
        """The variance of an outcome around its mean, in units of what the link makes of it.

        Of scores it is that of all outcomes around theirs; of log odds it is how that compares with outcomes that are
        right or wrong.
        """
        mean = self._total / self._count if self._count else 0.0
        around = self._squares - self._count * mean**2
        noise = max(_LEAST_NOISE, (around + _AS_IF_SEEN * _USUAL_NOISE) / (self._count + _AS_IF_SEEN))
        if not self.link.bounded:
            return noise
        right = (self._count * mean * (1.0 - mean) + _AS_IF_SEEN * _USUAL_NOISE) / (self._count + _AS_IF_SEEN)
        return min(1.0, noise / max(_LEAST_NOISE, right))

    @property
    def unit(self) -> float:
        """What scores are measured in: 1 for those in [0, 1], more where they spread wider (marks of 0 to 100)."""
        return max(1.0, float(np.sqrt(self.noise / _USUAL_NOISE))) if not self.link.bounded else 1.0

    @property
    def slope(self) -> float:
        """Score per unit of a sum of effects, on average over what was seen."""
        if not self.link.bounded:
            return 1.0
        return (self._weight + _AS_IF_SEEN * _LEVEL * (1.0 - _LEVEL)) / (self._count + _AS_IF_SEEN)

    @property
    def known(self) -> Posterior:
        """What was known of the effects when the posterior was last asked for, in the link's units."""
        if self._known is None:
            self._known, _ = self._solve(self.factors, self.shares)
            self._stale = False
        return self._known

    @property
    def posterior(self) -> Posterior:
        """What is known of the effects now, in units of score."""
        if self._stale:
            self._known = None
        return self.known.times(self.slope)

    def look_anew(self) -> None:
        """Lets outcomes be looked at from where they are expected now."""
        self._known = None

    def draw(self, seed: int) -> Vector:
        """Returns one draw of all effects in units of score, shape ``(n_columns,)``; equal seeds draw alike.

        Where there are several hypotheses one is drawn first, by how probable they are. So what a wrong one is sure of
        is still tried in the other way now and then, and it is found out.
        """
        alive = int((self.shares > 0).sum())
        if alive == 1:
            return self.posterior.draw(seed)
        chosen = int(np.random.default_rng(seed_of(seed, "hypothesis")).choice(len(self.shares), p=self.shares))
        known, _ = self._solve(self.factors, np.eye(len(self.shares))[chosen])
        return known.times(self.slope).draw(seed)

    def expected(self, rows: Vector) -> Vector:
        """Returns the scores that are expected of rows, by what was known when the posterior was last asked for.

        Args:
            rows: How much of every column each shows, shape ``(n_rows, n_columns)``.
        """
        with one_thread():
            return self.link.score(rows @ self.known.mean)

    def evidence(self, factors: Factors) -> float:
        """Returns the log probability of what was seen under prior scales, up to what all scales have in common.

        Args:
            factors: As in the attribute ``factors``, all above 0.
        """
        return self._solve(factors, self.shares)[1]

    def weigh(self) -> None:
        """Finds out how probable the hypotheses are by what was seen; those that are not at all count no more."""
        if len(self.hypotheses) == 1:
            return
        evidence = np.array([self._solve(self.factors, each)[1] for each in np.eye(len(self.hypotheses))])
        prior = np.array([each.weight for each in self.hypotheses])
        shares = _normalised(prior * np.exp(np.round(evidence - evidence.max(), 6)))
        self.shares = _normalised(np.where(shares < _DROPPED, 0.0, shares))
        self._known = None

    def learn_scales(self) -> None:
        """Chooses the prior scales under which what was seen is most probable (empirical Bayes)."""
        evidence = self._evidence_of(_FACTORS)
        self.factors = max(evidence, key=lambda factors: (evidence[factors], -abs(np.log(factors)).sum()))
        self._known = None

    def likely_scales(self, among: Sequence[Factors], least: float) -> dict[Factors, float]:
        """Returns prior scales → how probable they are by what was seen, where all are as probable before.

        Args:
            among: As in the attribute ``factors``.
            least: Those that are less probable are left out.
        """
        evidence = self._evidence_of(among)
        values = np.array(list(evidence.values()))
        shares = _normalised(np.exp(np.round(values - values.max(), 6)))
        shares = _normalised(np.where(shares < min(least, shares.max()), 0.0, shares))
        return {factors: share for factors, share in zip(evidence, shares.tolist(), strict=True) if share}

    def _evidence_of(self, among: Sequence[Factors]) -> dict[Factors, float]:
        able = [
            each
            for each in among
            if (each[1] == 1.0 or self._is_own.any()) and (each[2] == 1.0 or self._is_by_kind.any())
        ]
        return {factors: self.evidence(factors) for factors in able}

    @property
    def own_scale(self) -> float:
        """How far a single task may be from what tasks have in common, as a standard deviation near one half."""
        scale = self.usual["in_task"] * self.factors[1]
        own = scale if self._is_by_kind.any() else float(np.hypot(scale, self.usual["by_task_kind"]))
        return own * self.unit

    @property
    def goes_by_kind(self) -> bool | None:
        """Whether tasks that are alike were found to need alike; ``None`` where that is not in the model."""
        return self.factors[2] != NONE if self._is_by_kind.any() else None

    def prior(self, factors: Factors) -> tuple[Vector, Vector]:
        """Returns means and standard deviations of effects before anything is seen, both of shape ``(n_columns,)``."""
        return self._prior(factors, self.shares)

    def _prior(self, factors: Factors, shares: Vector) -> tuple[Vector, Vector]:
        """Means and standard deviations of the mixture of the hypotheses, both of shape ``(n_columns,)``."""
        scales = self._usual * self.unit
        for of, factor in zip((self._is_shared, self._is_own, self._is_by_kind), factors, strict=True):
            scales = scales * np.where(of, factor, 1.0)
        if len(self.hypotheses) == 1:
            return self._centres[0], scales
        centre = shares @ self._centres
        variances = np.where(np.isnan(self._scales), scales, self._scales) ** 2
        return centre, np.sqrt(shares @ (variances + (self._centres - centre) ** 2))

    def _solve(self, factors: Factors, shares: Vector) -> tuple[Posterior, float]:
        centre, scales = self._prior(factors, shares)
        precision = 1.0 / scales**2
        noise = self.noise
        with one_thread():
            matrix = self._products / noise
            matrix[np.diag_indices_from(matrix)] += precision
            # Handed over transposed, which is the same: LAPACK then works in place instead of on a copy.
            factor, _ = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
            right = precision * centre + self._sums / noise
            mean = cho_solve((factor, True), right, check_finite=False)
        logs = np.log(scales).sum() + np.log(np.diag(factor)).sum()
        fit = self._fit / noise + precision @ centre**2 - right @ mean
        return Posterior(mean, factor), float(-logs - 0.5 * fit)


def _normalised(weights: Vector) -> Vector:
    return np.asarray(weights / weights.sum())
