"""What a call costs: each side once to warm up, then in turns, and the median of the rounds."""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Work = Callable[[], object]


class Counter(Protocol):
    """Counts the calls of a side.

    Attributes:
        cpu_at_first: CPU seconds of the process when the first call came; ``None`` where that is not known.
        first: When it came, else when counting began.
    """

    cpu_at_first: float | None
    first: float

    def reset(self) -> None:
        """Starts afresh."""
        ...

    @property
    def total(self) -> int:
        """All calls."""
        ...

    @property
    def demos(self) -> float:
        """Demonstrations in a prompt, on average."""
        ...


@dataclass(frozen=True)
class Cost:
    """What one round of a side took.

    Attributes:
        calls: Model calls.
        cpu: CPU microseconds of the process per call, all threads together, after the first call began.
        fixed: CPU milliseconds before the first call.
        rate: Calls per second of wall time, after the first call began.
        demos: Demonstrations in a prompt, on average.
    """

    calls: int
    cpu: float
    fixed: float
    rate: float
    demos: float


def begin() -> None:
    """Says what the imports took, and keeps libraries from talking into the tables."""
    print(f"imports: {time.process_time():.1f} s of CPU\n", flush=True)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def measure(sides: Mapping[str, Work], meter: Counter, rounds: int) -> dict[str, Cost]:
    """Returns side → median cost of its rounds.

    The sides take turns, so that a machine that is busy for a while slows all of them.

    Args:
        sides: Name → what it does in one round.
        meter: Where its model counts.
        rounds: How often each is measured, 1 or more; a first time to warm up is not.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            print(f"\r{name}: round {number} of {rounds}".ljust(70), end="", file=sys.stderr, flush=True)
            cost = _once(work, meter)
            if number:
                costs[name].append(cost)
    print("\r".ljust(70), end="\r", file=sys.stderr, flush=True)
    return {name: _median(mine) for name, mine in costs.items()}


def _once(work: Work, meter: Counter) -> Cost:
    gc.collect()
    meter.reset()
    before = time.process_time()
    work()
    ended, cpu = time.perf_counter(), time.process_time()
    first_cpu = before if meter.cpu_at_first is None else meter.cpu_at_first
    calls = meter.total
    return Cost(
        calls=calls,
        cpu=(cpu - first_cpu) / calls * 1e6,
        fixed=(first_cpu - before) * 1e3,
        rate=calls / (ended - meter.first),
        demos=meter.demos,
    )


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        calls=round(statistics.median(cost.calls for cost in costs)),
        cpu=statistics.median(cost.cpu for cost in costs),
        fixed=statistics.median(cost.fixed for cost in costs),
        rate=statistics.median(cost.rate for cost in costs),
        demos=statistics.median(cost.demos for cost in costs),
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown: the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if place else "-") for place, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *(line(row) for row in rows)])
