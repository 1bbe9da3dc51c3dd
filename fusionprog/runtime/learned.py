"""What a search learned: effects of items and settings, what matters most, and how it got there."""

from __future__ import annotations

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
        curve: The learning curve, at most 64 points.
    """

    method: Method
    effects: Mapping[str, Mapping[str, Mapping[str, Effect]]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Mapping[str, Effect]]] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Point, ...] = ()
