"""Links: how a sum of effects becomes the score that is expected, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logit

from fusionprog.search.effects.columns import Vector

_STEEPEST = 0.25  # of the logistic function: score per unit of its argument, where it is one half
_CERTAIN = 0.03  # no outcome is taken to be more certain: one that is unexpected would count for too much
_LEAST_SLOPE = 0.02


@dataclass(frozen=True)
class Seen:
    """Outcomes in the form that a linear model with normal noise takes.

    Attributes:
        weights: How much each counts, shape ``(n_rows,)``.
        responses: Weight times the sum of effects that it speaks for, shape ``(n_rows,)``.
        squares: Weight times that sum squared, over all rows.
    """

    weights: Vector
    responses: Vector
    squares: float


@dataclass(frozen=True)
class Levels:
    """Where tasks are between the worst and the best score: what turns effects into differences of scores.

    Attributes:
        link: What is between a sum of effects and a score.
        of: Task → the sum of effects that stands for its mean score.
    """

    link: Link
    of: Mapping[str, float]

    def differences(self, task: str, effects: Vector, spread: Vector, shown: Vector) -> tuple[Vector, Vector]:
        """Returns what effects make of a task's score, and how well that is known: both of shape ``(n_effects,)``.

        It is the score with the effect less that without it, where what is between them, by how often the effect was
        seen, is the task's mean score.

        Args:
            task: The task.
            effects: The effects.
            spread: Their standard deviations.
            shown: The share of the task's outcomes that had each, in [0, 1].
        """
        level = np.full(len(effects), self.of.get(task, 0.0))
        above, below = level + effects * (1.0 - shown), level - effects * shown
        slope = self.link.slope(above) * (1.0 - shown) + self.link.slope(below) * shown
        return self.link.score(above) - self.link.score(below), slope * spread

    def against_first(self, task: str, effects: Vector, spread: Vector, shown: Vector) -> tuple[Vector, Vector]:
        """Returns what values of a setting make of a task's score against the first one, and how well that is known.

        Args:
            task: The task.
            effects: The effects of all values but the first, which has none.
            spread: Their standard deviations.
            shown: The share of the task's outcomes that had each, in [0, 1] together.

        Returns:
            Both of shape ``(n_values,)``.
        """
        first = np.full(len(effects), self.of.get(task, 0.0) - float(effects @ shown))
        slope = self.link.slope(first + effects) * (1.0 - shown) + self.link.slope(first) * shown
        return self.link.score(first + effects) - self.link.score(first), slope * spread


class Link(Protocol):
    """What is between a sum of effects and a score.

    Attributes:
        steepest: Score per unit of a sum of effects, at most.
        bounded: Whether it takes scores in [0, 1] alone.
    """

    steepest: float
    bounded: bool

    def score(self, sums: Vector) -> Vector:
        """Returns the scores that sums of effects stand for, shape as given."""
        ...

    def slope(self, sums: Vector) -> Vector:
        """Returns score per unit of a sum of effects where sums are, shape as given."""
        ...

    def sum_of(self, score: float) -> float:
        """Returns the sum of effects that stands for a score."""
        ...

    def seen(self, sums: Vector, counts: Vector, totals: Vector, squares: Vector) -> Seen:
        """Returns outcomes as a linear model takes them.

        Args:
            sums: What the model expected before it saw them, shape ``(n_rows,)``.
            counts: Outcomes behind each row.
            totals: The sums of their scores.
            squares: The sums of the squares of their scores.
        """
        ...


class Identity:
    """Effects are scores: for scores on any scale."""

    steepest = 1.0
    bounded = False

    def score(self, sums: Vector) -> Vector:
        """Returns them as they are."""
        return sums

    def slope(self, sums: Vector) -> Vector:
        """Returns ones."""
        return np.ones_like(sums)

    def sum_of(self, score: float) -> float:
        """Returns it as it is."""
        return score

    def seen(self, sums: Vector, counts: Vector, totals: Vector, squares: Vector) -> Seen:
        """Returns the outcomes as they are."""
        return Seen(counts, totals, float(squares.sum()))


class Logistic:
    """Effects are log odds: for scores in [0, 1], which saturate at both ends.

    Each outcome is taken in once, with the logistic likelihood replaced by the parabola that touches it where the model
    expected it to be (the first step of Newton's method). So old outcomes are never looked at again, and the cost is
    that of a linear model.

    References:
        West, Harrison and Migon, "Dynamic Generalized Linear Models and Bayesian Forecasting", 1985.
        Spiegelhalter and Lauritzen, "Sequential updating of conditional probabilities", 1990, section 6.
    """

    steepest = _STEEPEST
    bounded = True

    def score(self, sums: Vector) -> Vector:
        """Returns probabilities."""
        return np.asarray(expit(sums))

    def slope(self, sums: Vector) -> Vector:
        """Returns the variance of what is right with that probability."""
        chances = self.score(sums)
        return chances * (1.0 - chances)

    def sum_of(self, score: float) -> float:
        """Returns log odds; of what is all but certain, those of .97 or .03."""
        return float(logit(min(1.0 - _CERTAIN, max(_CERTAIN, score))))

    def seen(self, sums: Vector, counts: Vector, totals: Vector, squares: Vector) -> Seen:
        """Returns the outcomes as they look from where they were expected."""
        expected = np.clip(expit(sums), _CERTAIN, 1.0 - _CERTAIN)
        weights = counts * np.maximum(_LEAST_SLOPE, expected * (1.0 - expected))
        responses = weights * logit(expected) + totals - counts * expected
        return Seen(weights, responses, float((responses**2 / weights).sum()))
