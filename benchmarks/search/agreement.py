"""Does a better score on val mean a better one on test? What any search could find there, whatever it may ask."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from search.benches import Bench
from search.calls import Meter
from search.choices import Prompter, Row, Runner

_NUMBERS = ("correlation", "mean", "chosen", "written")


@dataclass(frozen=True)
class Agreement:
    """What the scores of random prompts of a task on all rows of val say of those on test.

    Attributes:
        task: The task.
        correlation: Between both scores, over the prompts; 0 where all score alike on val or on test.
        mean: The mean score on test.
        chosen: The mean score on test of those that are best on val.
        written: That of the program as written.
    """

    task: str
    correlation: float
    mean: float
    chosen: float
    written: float


def agreements(bench: Bench, prompts: int, seed: int) -> list[Agreement]:
    """Scores random choices of fragments on all rows of val and test, each fragment with a chance of one half.

    Args:
        bench: The benchmark.
        prompts: How many for each task.
        seed: For their draws.
    """
    meter = Meter(bench.answer)
    meter.open()
    prompter = Prompter(bench)
    made = []
    for task in (each.name for each in bench.tasks):
        draw = random.Random(f"{seed} {task}")
        choices = [
            {
                node: frozenset(key for key in prompter.offered(task, node) if draw.random() < 0.5)
                for node in prompter.nodes(task)
            }
            for _ in range(prompts)
        ]
        written, *runners = (prompter.runner(task, choice, meter) for choice in ({}, *choices))
        val, test = (
            [_mean(runner, rows) for runner in runners] for rows in (bench.rows[task].val, bench.rows[task].test)
        )
        best = [there for here, there in zip(val, test, strict=True) if here == max(val)]
        differ = len(set(val)) > 1 and len(set(test)) > 1
        made.append(
            Agreement(
                task=task,
                correlation=statistics.correlation(val, test) if differ else 0.0,
                mean=statistics.mean(test),
                chosen=statistics.mean(best),
                written=_mean(written, bench.rows[task].test),
            )
        )
    return made


def overall(found: Sequence[Agreement]) -> Agreement:
    """Returns the means over tasks."""
    parts = {name: statistics.mean(getattr(each, name) for each in found) for name in _NUMBERS}
    return Agreement(task="mean", **parts)


def _mean(runner: Runner, rows: Sequence[Row]) -> float:
    return statistics.mean(float(runner(row)) for row in rows)
