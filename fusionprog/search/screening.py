"""Screening: every item alone, by sequential halving on one shared order of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.evaluation.statistics import CHANGED_SHARE
from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, block
from fusionprog.search.space import Space

Arm = tuple[str, str]  # node and item

_USUAL_ROWS = 8


@dataclass(frozen=True)
class Screened:
    """What screening found.

    Attributes:
        effects: (node, item) → mean gain of the item alone over the program as written, over tasks, shrunk towards 0
            by the noise of so few rows.
        rows: (node, item) → rows per task that it was tried on.
    """

    effects: Mapping[Arm, float]
    rows: Mapping[Arm, int]


async def screen(
    bench: Bench,
    space: Space,
    rows: Mapping[str, Sequence[Row]],
    calls: int,
    *,
    keep: Callable[[], Cost],
    stepped: Callable[[int], None],
) -> Screened:
    """Tries every item in play alone and drops the worse half, round by round, until two are left.

    Args:
        bench: Where to measure.
        space: The items in play.
        rows: Task → rows in the shared order.
        calls: What it may spend.
        keep: Returns what the budget must still have after it.
        stepped: Is told after each round how many there were.

    References:
        Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", 2013.
    """
    arms: list[Arm] = [(node, key) for node, items in space.items.items() for key in items]
    if not arms or calls < bench.calls_per_row * (len(arms) + 1):
        return Screened({}, {})
    rounds = max(1, math.ceil(math.log2(len(arms) / 2)))
    scores: dict[Arm, dict[str, list[float]]] = {arm: {task: [] for task in rows} for arm in arms}
    done, left, alive = 0, calls // bench.calls_per_row, list(arms)
    seen: dict[Arm, int] = {}
    longest = max(len(mine) for mine in rows.values())
    for number in range(rounds):
        share, least = left // (rounds - number) // (len(alive) + 1), int(left >= len(alive) + 1)
        count = min(max(share, least), longest - done)
        if count == 0:
            break
        left -= count * (len(alive) + 1)
        fresh = block(rows, done, count)
        schedules = [Schedule(), *(space.single(*arm) for arm in alive)]
        results = await bench.measure_all(schedules, fresh, keep=keep())
        for arm, outcomes in zip(alive, results[1:], strict=True):
            for task, mine in outcomes.items():
                scores[arm][task] += _gains(results[0][task], mine)
            seen[arm] = done + count
        done += count
        alive.sort(key=lambda arm: (-_shrunk(scores[arm]), arm))
        alive = alive[: max(2, math.ceil(len(alive) / 2))]
        stepped(number + 1)
        if bench.ended_by is not None:
            break
    return Screened({arm: _shrunk(scores[arm]) for arm in seen}, seen)


def _gains(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[float]:
    return [new.score - old.score for old, new in zip(before, after, strict=True)]


def _shrunk(gains: Mapping[str, list[float]], scale: float = 0.05) -> float:
    """The mean gain over tasks, times signal over signal and noise for effects of about ``scale``.

    The spread is counted with that of some usual rows, since equal gains on one or two rows say little about it.
    """
    means = [sum(mine) / len(mine) for mine in gains.values() if mine]
    count = sum(len(mine) for mine in gains.values())
    if not count:
        return 0.0
    mean = sum(means) / len(means)
    squares = sum((gain - mean) ** 2 for mine in gains.values() for gain in mine)
    noise = (squares + _USUAL_ROWS * CHANGED_SHARE) / (count + _USUAL_ROWS) / count
    return mean * scale**2 / (scale**2 + noise)
