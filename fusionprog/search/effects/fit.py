"""Is the additive picture any good? The model's forecasts against those of a constant."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from fusionprog.search.effects.columns import Vector
from fusionprog.search.effects.history import Measured
from fusionprog.search.effects.model import EffectsModel

_AS_IF_SEEN = 4.0  # outcomes that a task's mean begins with
_CERTAIN = 0.01
_BEGINNING = 10  # outcomes before which nobody knows what is usual
_ENOUGH = 8  # trials before anything is said


@dataclass
class Fit:
    """Compares, outcome by outcome, what the model expected with the mean of the task so far.

    Both see an outcome only after they have said what they expect, so that this is held-out log likelihood: no effect
    can be fitted to it.

    Attributes:
        gains: Trial → log likelihood of the model less that of the constant, per outcome.

    References:
        Dawid, "Present Position and Potential Developments: The Prequential Approach", 1984.
    """

    gains: list[float] = field(default_factory=list)
    _totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, measured: list[Measured], expected: Vector, model: EffectsModel) -> None:
        """Compares forecasts of a trial with what came, before the model is told.

        Args:
            measured: What came.
            expected: The scores that the model expected, shape ``(n_measured,)``.
            model: The model, for its noise and link.
        """
        everything = sum(self._counts.values())
        usual = sum(self._totals.values()) / everything if everything >= _BEGINNING else None
        gain, outcomes = 0.0, 0
        for each, mine in zip(measured, expected.tolist(), strict=True):
            if usual is not None:
                count = self._counts[each.task]
                constant = (self._totals[each.task] + _AS_IF_SEEN * usual) / (count + _AS_IF_SEEN)
                gain += _likelihood(each, mine, model) - _likelihood(each, constant, model)
                outcomes += each.count
        for each in measured:
            self._totals[each.task] += each.total
            self._counts[each.task] += each.count
        if outcomes:
            self.gains.append(gain / outcomes)

    @property
    def means(self) -> dict[str, float]:
        """Task → the mean of its scores so far."""
        return {task: self._totals[task] / count for task, count in self._counts.items()}

    @property
    def gain(self) -> tuple[float, float]:
        """Mean gain of the model over the constant in log likelihood per outcome, and its standard error.

        The first quarter of the trials does not count: what is forecast there is forecast from nothing.
        """
        gains = self.gains[len(self.gains) // 4 :]
        if len(gains) < 2:
            return 0.0, float("inf")
        return float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(len(gains)))

    @property
    def fails(self) -> bool:
        """Whether the model's forecasts are worse than a constant's by more than two standard errors."""
        gain, error = self.gain
        return len(self.gains) >= _ENOUGH and gain + 2.0 * error < 0.0


def _likelihood(measured: Measured, expected: float, model: EffectsModel) -> float:
    if not model.link.bounded:
        around = measured.squares - 2.0 * expected * measured.total + measured.count * expected**2
        return -around / (2.0 * model.noise)
    chance = min(1.0 - _CERTAIN, max(_CERTAIN, expected))
    wrong = measured.count - measured.total
    return float(measured.total * np.log(chance) + wrong * np.log(1.0 - chance))
