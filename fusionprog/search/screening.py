"""Screening: every item alone, on one shared order of rows; the worse ones are dropped round by round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.evaluation.evaluator import Outcome
from fusionprog.evaluation.statistics import CHANGED_SHARE
from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, block
from fusionprog.search.space import Space

Arm = tuple[str, str]  # node and item

_LEFT = 2  # items that are never dropped
_USUAL_ROWS = 8


class Screening(Protocol):
    """Decides on how many rows every item is tried, and how many items go on.

    Attributes:
        spends: Whether it tries anything, so that a plan must have calls for it.
    """

    spends: ClassVar[bool]

    def rounds(self, items: int, left: int, longest: int) -> Iterator[tuple[int, int]]:
        """Yields, round by round, the rows on which each item that is left is tried, and how many of them go on.

        The program as written is tried beside them: ``rows * (items + 1)`` of what is left is then spent.

        Args:
            items: How many there are, above 0.
            left: What may be spent: prompts times rows of every task, at least ``items + 1``.
            longest: Rows of the task that has most, above 0.
        """
        ...


screening_registry: Registry[type[Screening]] = Registry("screening", FusionProgError)


@screening_registry.register("sequential_halving")
class SequentialHalving:
    """Drops the worse half, in rounds that cost alike, until two are left.

    References:
        Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", 2013.
    """

    spends: ClassVar[bool] = True

    def rounds(self, items: int, left: int, longest: int) -> Iterator[tuple[int, int]]:
        """Gives each round an equal share of what is left, and at least a row."""
        count, done = max(1, math.ceil(math.log2(items / _LEFT))), 0
        for number in range(count):
            share, least = left // (count - number) // (items + 1), int(left >= items + 1)
            rows = min(max(share, least), longest - done)
            if rows == 0:
                return
            left -= rows * (items + 1)
            done += rows
            items = max(_LEFT, math.ceil(items / 2))
            yield rows, items


@screening_registry.register("successive_rejects")
class SuccessiveRejects:
    """Drops one item at a time, so that fewer are dropped on the first rows, in many more rounds than halving has.

    When ``k`` items are left, each has been tried on rows in proportion to ``1 / k``. With planted effects it found the
    best item as often as halving, and somewhat oftener where few of many items help.

    References:
        Audibert, Bubeck and Munos, "Best Arm Identification in Multi-Armed Bandits", 2010.
    """

    spends: ClassVar[bool] = True

    def rounds(self, items: int, left: int, longest: int) -> Iterator[tuple[int, int]]:
        """Drops several at once where there is no further row for each."""
        scale = left / (1 + 1 / items + sum(1 / size for size in range(_LEFT + 1, items)))
        done, rows = 0, 0
        for size in range(items, min(items, _LEFT + 1) - 1, -1):
            more = min(max(1, int(scale / size)), longest) - done
            more = min(more, left // (size + 1))
            if more > 0:
                if rows:
                    yield rows, size
                rows = more
                left -= more * (size + 1)
                done += more
        yield rows, _LEFT


@screening_registry.register("none")
class NoScreening:
    """Tries no item alone: its calls go to trials."""

    spends: ClassVar[bool] = False

    def rounds(self, items: int, left: int, longest: int) -> Iterator[tuple[int, int]]:
        """Has none."""
        return iter(())


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
    screening: Screening,
    keep: Callable[[], Cost],
    stepped: Callable[[int], None],
) -> Screened:
    """Tries every item in play alone and drops the worse ones, round by round.

    Args:
        bench: Where to measure.
        space: The items in play.
        rows: Task → rows in the shared order.
        calls: What it may spend.
        screening: Decides how many rows a round has, and how many items go on.
        keep: Returns what the budget must still have after it.
        stepped: Is told after each round how many there were.
    """
    arms: list[Arm] = [(node, key) for node, items in space.items.items() for key in items]
    if not arms or calls < bench.calls_per_row * (len(arms) + 1):
        return Screened({}, {})
    scores: dict[Arm, dict[str, list[float]]] = {arm: {task: [] for task in rows} for arm in arms}
    done, alive = 0, list(arms)
    seen: dict[Arm, int] = {}
    longest = max(len(mine) for mine in rows.values())
    for number, (count, kept) in enumerate(screening.rounds(len(arms), calls // bench.calls_per_row, longest)):
        fresh = block(rows, done, count)
        schedules = [Schedule(), *(space.single(*arm) for arm in alive)]
        results = await bench.measure_all(schedules, fresh, keep=keep())
        for arm, outcomes in zip(alive, results[1:], strict=True):
            for task, mine in outcomes.items():
                scores[arm][task] += _gains(results[0][task], mine)
            seen[arm] = done + count
        done += count
        alive.sort(key=lambda arm: (-_shrunk(scores[arm]), arm))
        alive = alive[:kept]
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
