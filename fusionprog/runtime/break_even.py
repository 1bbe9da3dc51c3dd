"""Break-even: after how many calls of the compiled program its search has paid for itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["usd", "tokens"]
Costs = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class BreakEven:
    """What a search cost against what every call of the compiled program brings, compared with the one as written.

    A call is a call for one task; tasks are called equally often.

    Attributes:
        unit: Dollars, where all prices are known and not 0; else tokens.
        spent: What the search cost, in the unit.
        spent_calls: The model calls that it made.
        saved: What a call costs less than before, in the unit; below 0 where it costs more.
        gain: What a call scores more than before.
        gain_se: The standard error of the gain.

    References:
        Schnabel and Neville, "Symbolic Prompt Program Search", 2024 (the library's ``break_even``).
    """

    unit: Unit
    spent: float
    spent_calls: int
    saved: float
    gain: float
    gain_se: float

    @property
    def calls_to_save(self) -> int | None:
        """Calls after which what they saved comes to what the search cost.

        ``None`` where calls are not cheaper, or score less than before.
        """
        return math.ceil(self.spent / self.saved) if self.saved > 0 and self.gain >= 0 else None

    @property
    def calls_to_gain(self) -> int | None:
        """Calls after which the additional right answers are as many as the model calls that the search made.

        So it is also the search's model calls per additional right answer in each call. A right answer is a point of
        score. ``None`` where the score is no better.
        """
        return math.ceil(self.spent_calls / self.gain) if self.gain > 0 else None

    @property
    def spent_per_hundredth(self) -> float | None:
        """What the search cost per hundredth of score gained, in the unit; ``None`` where the score is no better."""
        return self.spent / (100 * self.gain) if self.gain > 0 else None

    @property
    def per_right_answer(self) -> float | None:
        """What an additional right answer costs in use, in the unit; the search is not counted.

        ``None`` where calls are not dearer, or the score is no better.
        """
        return -self.saved / self.gain if self.saved < 0 and self.gain > 0 else None


def break_even(
    spent: Mapping[str, float], costs: Sequence[Costs], gains: Sequence[tuple[float, float]]
) -> BreakEven | None:
    """Returns the break-even of a search; ``None`` where nothing was measured.

    Args:
        spent: ``calls``, ``tokens`` and ``usd`` of the search.
        costs: For every task, ``tokens`` and ``usd`` per 1,000 calls, ``before`` and ``after``.
        gains: For every task, the gain and its standard error.
    """
    if not costs or not all({"before", "after"} <= each.keys() for each in costs):
        return None
    priced = spent["usd"] > 0 and all(each[when].get("usd") is not None for each in costs for when in each)
    unit: Unit = "usd" if priced else "tokens"
    differences = [(each["before"].get(unit) or 0.0) - (each["after"].get(unit) or 0.0) for each in costs]
    return BreakEven(
        unit=unit,
        spent=spent[unit],
        spent_calls=int(spent["calls"]),
        saved=math.fsum(differences) / len(costs) / 1000,
        gain=math.fsum(gain for gain, _ in gains) / len(gains),
        gain_se=math.sqrt(math.fsum(se**2 for _, se in gains)) / len(gains),
    )
