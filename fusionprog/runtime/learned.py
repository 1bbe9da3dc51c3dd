"""What a search learned: effects of items and settings, what matters most, and how it got there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Method = Literal["posterior", "comparison"]

_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Effect:
    """What showing something does to a score.

    Attributes:
        mean: The change of the score, in its units.
        se: Its standard error: the standard deviation of the posterior, or that of a difference of means.
        n: Outcomes that showed it.
    """

    mean: float
    se: float
    n: int

    @property
    def half_width(self) -> float:
        """Half of its 95% interval."""
        return _NORMAL_95 * self.se

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95% interval."""
        return self.mean - self.half_width, self.mean + self.half_width


@dataclass(frozen=True)
class SharedEffect:
    """What an item does to a score near one half, in a task that the search has not seen.

    Attributes:
        mean: The change of the score in a task in the middle of those that it has seen.
        se: How well that is known, as a standard deviation.
        along: What is added along each direction of the basis of task embeddings; empty where that is not known.
        along_se: How well these are known.
    """

    mean: float
    se: float
    along: tuple[float, ...] = ()
    along_se: tuple[float, ...] = ()

    def at(self, place: tuple[float, ...]) -> tuple[float, float]:
        """Returns the effect and its standard deviation in a task at a place among those that were seen.

        Args:
            place: The task's coordinates in the basis.
        """
        mean = self.mean + math.fsum(one * other for one, other in zip(self.along, place, strict=False))
        return mean, math.hypot(self.se, *(one * other for one, other in zip(self.along_se, place, strict=False)))


@dataclass(frozen=True)
class Shared:
    """What tasks have in common: what the next compile, of other tasks, starts from.

    Attributes:
        own: How far what an item does in a single task may be from that, as a standard deviation.
        effects: Node → item → what it does in a task that the search has not seen.
    """

    own: float
    effects: Mapping[str, Mapping[str, SharedEffect]]


@dataclass(frozen=True)
class Point:
    """A point of the learning curve; the first of a fold is the program as written.

    Attributes:
        trials: Trials of the fold that were told.
        calls: Logical calls of the compile so far.
        score: The objective of the last trials together, where every trial has other rows; else that of the best one
            so far, which is too high by its luck.
        expected: What the search's model expects of the best it knows; ``None`` where there is no model.
        fold: The fold: where val is cross-fitted, each is a search of its own.
    """

    trials: int
    calls: int
    score: float
    expected: float | None = None
    fold: int = 0


@dataclass(frozen=True)
class Learned:
    """What a search learned.

    Attributes:
        method: Where effects are from: ``"posterior"`` of the effects model; or ``"comparison"`` of the trials that
            show an item with those that do not, where a sampler has no model. The latter is no experiment: what good
            trials share looks good.
        effects: Task → node → item → what the item does there. Of a large pool these are the items that are used and
            those whose effects are known best to be none of 0.
        settings: Node → setting → value → what it does, against the first value.
        importance: Parameter (``node.facet.item``, ``node.format``, …) → its share of what makes prompts' scores
            differ, the largest first; all parameters together have 1.
        curve: The learning curve, at most 32 points.
        shared: What tasks have in common; ``None`` where the sampler has no model.
        sources: What the search started from → how much of it held here, together 1; what has no name is that nothing
            known did. Empty where it started from nothing.
    """

    method: Method
    effects: Mapping[str, Mapping[str, Mapping[str, Effect]]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Mapping[str, Effect]]] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Point, ...] = ()
    shared: Shared | None = None
    sources: Mapping[str, float] = field(default_factory=dict)
