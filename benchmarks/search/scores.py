"""What a program that was found is worth: on test, and on a landscape in truth."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from search.benches import Bench
from search.calls import Meter
from search.choices import Runner


@dataclass(frozen=True)
class TaskScore:
    """What a program is worth in a task.

    Attributes:
        test: Accuracy on test.
        true: The expected score, on a landscape; else as ``test``.
        items: Fragments in all its prompts, on a landscape; else 0.
    """

    test: float
    true: float
    items: int


def score(bench: Bench, task: str, runner: Runner, meter: Meter) -> TaskScore:
    """Scores a program; what it asks is not counted."""
    test = statistics.mean(float(runner(row)) for row in bench.rows[task].test)
    return TaskScore(test, *((test, 0) if bench.landscape is None else true_score(bench, task, runner, meter)))


def true_score(bench: Bench, task: str, runner: Runner, meter: Meter) -> tuple[float, int]:
    """Returns a program's expected score on a landscape, and how many fragments its prompts have."""
    known = bench.landscape
    assert known is not None
    with meter.watched() as seen:
        runner(bench.rows[task].test[0])
    chances = {known.read(messages)[1]: known.chance_of(messages)[2] for messages in seen}
    return known.expected(chances), sum(len(known.read(messages)[2]) for messages in seen)
