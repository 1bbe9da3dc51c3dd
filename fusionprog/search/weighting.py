"""Task weights: how much every task counts, as a function of what the tasks have lost so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from fusionprog._internal.canonical import seed_of
from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.evaluation.statistics import lower_bound, mean_gain, worst_gain, worst_lower_bound
from fusionprog.prompts.mixture import softmax
from fusionprog.runtime.record import Comparison, Score

Losses = Mapping[str, float]
Weights = Mapping[str, float]

_LEAST_SHARE = 1e-12  # what floating point would make 0
_TIE_BREAK = 0.01  # what tasks count that a scheme looks away from, so that progress there breaks ties


class TaskWeights(Protocol):
    """A scheme of task weights, what it makes of the tasks' scores, and what it takes for a gain.

    Attributes:
        gain_name: What its gain is called.
        moves_values: Whether what a trial came to is another number once the weights have moved.
    """

    gain_name: ClassVar[str]
    moves_values: ClassVar[bool]

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns task → weight, above 0 and 1 on average.

        Args:
            rounds: Task → mean loss, above 0, round by round; the first is that of the program as written.
        """
        ...

    def value(self, scores: Mapping[str, float], weights: Weights, relative: Losses) -> float:
        """Returns the one number that the tasks' scores come to; higher is better.

        Args:
            scores: Task → mean score.
            weights: Task → weight.
            relative: Task → loss as a share of that of the program as written, above 0.
        """
        ...

    def level(self, scores: Mapping[str, Score], weights: Weights) -> tuple[float, float]:
        """Returns what the tasks' scores come to in units of score, and its standard error."""
        ...

    def gain(self, gains: Mapping[str, Comparison], weights: Weights) -> tuple[float, float]:
        """Returns the gain that paired comparisons show, and its standard error."""
        ...

    def bound(self, gains: Mapping[str, Comparison], weights: Weights, *, tries: int, level: float) -> float:
        """Returns the one-sided lower bound of that gain.

        Args:
            gains: Task → paired comparison on examples that nothing was chosen on.
            weights: Task → weight, chosen without these examples.
            tries: How many candidates are compared; the level is shared out among them.
            level: Probability of a bound above the truth, over all of them.
        """
        ...


SchemeFactory = Callable[..., TaskWeights]
weighting_registry: Registry[SchemeFactory] = Registry("objective", FusionProgError)


class _Weighted:
    """The weighted mean; what it proves is the paired weighted gain, with weights that were fixed before."""

    gain_name: ClassVar[str] = "weighted gain"
    moves_values: ClassVar[bool] = True

    def value(self, scores: Mapping[str, float], weights: Weights, relative: Losses) -> float:
        """Returns the weighted mean score."""
        return sum(weights[task] * score for task, score in scores.items()) / sum(weights[task] for task in scores)

    def level(self, scores: Mapping[str, Score], weights: Weights) -> tuple[float, float]:
        """Returns the weighted mean score."""
        total = sum(weights[task] for task in scores)
        error = math.sqrt(sum((weights[task] * score.se / total) ** 2 for task, score in scores.items()))
        return sum(weights[task] * score.mean for task, score in scores.items()) / total, error

    def gain(self, gains: Mapping[str, Comparison], weights: Weights) -> tuple[float, float]:
        """Returns the weighted mean of the paired gains."""
        mean, error, _ = mean_gain(gains, weights)
        return mean, error

    def bound(self, gains: Mapping[str, Comparison], weights: Weights, *, tries: int, level: float) -> float:
        """Returns the lower bound of the weighted mean gain (Student's t, Bonferroni over candidates)."""
        return lower_bound(gains, finalists=tries, level=level, weights=weights)


@weighting_registry.register("equal")
@weighting_registry.register("mean")
@dataclass(frozen=True)
class EqualWeights(_Weighted):
    """Every task counts alike."""

    gain_name: ClassVar[str] = "mean gain"
    moves_values: ClassVar[bool] = False

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns 1 for every task."""
        return dict.fromkeys(rounds[-1], 1.0)


@weighting_registry.register("uncertainty")
@dataclass(frozen=True)
class UncertaintyWeights(_Weighted):
    """One over the loss: relative progress counts, so that tasks that are nearly solved weigh most.

    This is homoscedastic uncertainty in closed form: ``sum(L / (2 e^s) + s / 2)`` is least in ``s`` at ``e^s = L``.

    References:
        Kendall et al., "Multi-Task Learning Using Uncertainty to Weigh Losses", 2018.
    """

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns weights in proportion to one over the losses of the last round."""
        return _mean_one({task: 1 / (2 * loss) for task, loss in rounds[-1].items()})


@weighting_registry.register("dwa")
@dataclass(frozen=True)
class DynamicWeightAverage(_Weighted):
    """Tasks whose loss falls slowly weigh more; the first two rounds count all alike.

    Args:
        temperature: The higher, the more alike the weights are; above 0.

    References:
        Liu et al., "End-to-End Multi-Task Learning with Attention", 2019.
    """

    temperature: float = 2.0

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns the softmax of each task's last loss over the one before it."""
        if len(rounds) < 3:
            return dict.fromkeys(rounds[-1], 1.0)
        before, last = rounds[-2], rounds[-1]
        return _mean_one(_softmax({task: loss / before[task] for task, loss in last.items()}, self.temperature))


@weighting_registry.register("rate_balance")
@dataclass(frozen=True)
class RateBalance(_Weighted):
    """Tasks that have kept most of their first loss weigh more: GradNorm's target without gradients.

    Args:
        asymmetry: 0 counts all alike; the higher, the more the slow ones weigh.

    References:
        Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing", 2018.
    """

    asymmetry: float = 1.5

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns weights in proportion to a power of the share of its first loss that a task still has."""
        first, last = rounds[0], rounds[-1]
        return _mean_one({task: (loss / first[task]) ** self.asymmetry for task, loss in last.items()})


@weighting_registry.register("tchebycheff")
@dataclass(frozen=True)
class SmoothTchebycheff(_Weighted):
    """Near the worst task, where worst is the largest loss relative to the program as written, but smooth.

    Args:
        smoothness: Near 0 the worst task alone counts, at 1 every task's relative loss counts alike; in (0, 1].

    Note:
        Its value is concave in the scores, so the gain weighted by its slope at a finalist is never more than its own
        gain. A finalist is confirmed by the weighted gain, at the slope of the last round.

    References:
        Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", 2024.
    """

    smoothness: float = 0.25
    moves_values: ClassVar[bool] = False

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns the slope of the value at the losses of the last round."""
        nadir, last = rounds[0], rounds[-1]
        shares = _softmax({task: math.log(loss / nadir[task]) for task, loss in last.items()}, self.smoothness)
        return _mean_one({task: share / last[task] for task, share in shares.items()})

    def value(self, scores: Mapping[str, float], weights: Weights, relative: Losses) -> float:
        """Returns minus the smooth maximum of the logarithms of the relative losses."""
        powers = [math.log(relative[task]) / self.smoothness for task in scores]
        most = max(powers)
        return -self.smoothness * (most + math.log(sum(math.exp(power - most) for power in powers)))


@weighting_registry.register("cvar")
@dataclass(frozen=True)
class ConditionalValueAtRisk(_Weighted):
    """The mean of the worst tasks.

    Args:
        share: Which share of the tasks, in (0, 1]; at least one task.

    Note:
        Of one task it is the worst task, and what it proves is a lower bound of that very gain. Of more it is confirmed
        by the weighted gain: the tasks that were worst in the last round are known without the examples that confirm.

    References:
        Rockafellar and Uryasev, "Optimization of Conditional Value-at-Risk", 2000.
    """

    share: float = 0.25
    gain_name: ClassVar[str] = "gain of the worst tasks"
    moves_values: ClassVar[bool] = False

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns weights that are nearly all on the tasks with the largest losses in the last round."""
        last = rounds[-1]
        worst = sorted(last, key=lambda task: -round(last[task], 9))[: self._count(len(last))]
        own = (1 - _TIE_BREAK) * len(last) / len(worst)
        return {task: _TIE_BREAK + (own if task in worst else 0.0) for task in last}

    def value(self, scores: Mapping[str, float], weights: Weights, relative: Losses) -> float:
        """Returns the mean of the worst tasks, with a hundredth of the mean over all."""
        lowest = sorted(scores.values())[: self._count(len(scores))]
        return sum(lowest) / len(lowest) + _TIE_BREAK * sum(scores.values()) / len(scores)

    def level(self, scores: Mapping[str, Score], weights: Weights) -> tuple[float, float]:
        """Returns the score of the worst task; of several, their weighted mean."""
        if self._count(len(scores)) > 1:
            return super().level(scores, weights)
        lowest = min(scores.values(), key=lambda score: score.mean)
        return lowest.mean, lowest.se

    def gain(self, gains: Mapping[str, Comparison], weights: Weights) -> tuple[float, float]:
        """Returns the gain of the worst task, whichever that is before and after; of several, the weighted gain."""
        return worst_gain(gains) if self._count(len(gains)) == 1 else super().gain(gains, weights)

    def bound(self, gains: Mapping[str, Comparison], weights: Weights, *, tries: int, level: float) -> float:
        """Returns the lower bound of that gain."""
        if self._count(len(gains)) == 1:
            return worst_lower_bound(gains, finalists=tries, level=level)
        return super().bound(gains, weights, tries=tries, level=level)

    def _count(self, tasks: int) -> int:
        return max(1, math.ceil(round(self.share * tasks, 9)))


@weighting_registry.register("worst")
@dataclass(frozen=True)
class WorstTask(ConditionalValueAtRisk):
    """The worst task: conditional value at risk of a single one."""

    gain_name: ClassVar[str] = "gain of the worst task"
    share: float = field(default=0.0, init=False)


@weighting_registry.register("random")
@dataclass(frozen=True)
class RandomWeights(_Weighted):
    """Weights by chance, new in every round: the control that a scheme must beat.

    Args:
        seed: For drawing.

    References:
        Lin et al., "Reasonable Effectiveness of Random Weighting", 2022.
    """

    seed: int = 0

    def weights(self, rounds: Sequence[Losses]) -> dict[str, float]:
        """Returns the softmax of normal draws; a task's draw depends on its name and on the round alone."""
        drawn = {
            task: float(np.random.default_rng(seed_of(self.seed, "task weight", len(rounds), task)).standard_normal())
            for task in rounds[-1]
        }
        return _mean_one(_softmax(drawn, 1.0))


def _softmax(values: Mapping[str, float], temperature: float) -> dict[str, float]:
    shares = softmax(list(values.values()), temperature)
    return {task: max(_LEAST_SHARE, share) for task, share in zip(values, shares, strict=True)}


def _mean_one(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights with a mean of 1; the sum is the same in any order of the tasks."""
    mean = math.fsum(weights.values()) / len(weights)
    return {task: weight / mean for task, weight in weights.items()}
