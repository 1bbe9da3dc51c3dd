"""What a compiled program's score depends on: studies and ablations, on a landscape whose optimum is known.

    python benchmarks/sensitivity/run.py --plot sensitivity.png

Every point is compiled anew, on five landscapes; scores are the way from base to optimum, in truth. Temperature is
fixed and everything else compiled; tasks come in one nested order, with what all share alone (shared) and with what
differs by task (conditioned); the ablations take one part away each; schemes of task weights are compared with equal
ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import fusionprog as fp
from _measure import begin, table
from _plot import Line, Panel, plot_panels
from fusionprog.runtime.compiled import CompiledProgram
from search.benches import Bench, landscape_bench
from search.calls import Meter
from search.report import mean_and_error, shown
from search.scores import true_score
from search.sides import Terms, compile_tasks, found_by
from search.variants import WITHOUT_BIAS, WITHOUT_GATES, WITHOUT_TASKS, Change, register_variant

TEMPERATURES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
NUMBERS = (1, 2, 3, 6, 9, 12)
WEIGHTS = ("equal", "uncertainty", "dwa", "rate_balance", "tchebycheff", "worst")
BENCH = "landscape-12"


@dataclass(frozen=True)
class Point:
    """What one compile came to.

    Attributes:
        mean: Mean over tasks of the way from base to optimum.
        worst: The same of the worst task.
        entropy: Mean entropy of a facet's mixture, in nats, where any item is open.
    """

    mean: float
    worst: float
    entropy: float


def compile_point(bench: Bench, calls: int, seed: int, **more: Any) -> Point:
    """Compiles a landscape's tasks and returns what it came to."""
    known = bench.landscape
    assert known is not None
    terms = Terms(bench, Meter(bench.answer), calls, seed)
    compiled = compile_tasks(terms, bench.tasks, **more)
    terms.meter.open()
    shares = []
    for task, runner in found_by(compiled, terms).runners.items():
        score, base = true_score(bench, task, runner, terms.meter)[0], known.base(task)
        shares.append((score - base) / (known.optimum(task) - base))
    return Point(statistics.mean(shares), min(shares), _entropy(compiled))


def _entropy(compiled: CompiledProgram) -> float:
    """Returns the mean entropy of all mixtures that have an open item."""
    found = []
    for task in compiled.tasks.values():
        for mixture in task.mixtures.values():
            for items in mixture.facets.values():
                weights = np.array([item.weight for item in items if item.weight > 0])
                if len(weights):
                    found.append(float(-(weights * np.log(weights)).sum()))
    return statistics.mean(found) if found else 0.0


def study(benches: Sequence[Bench], calls: int, **more: Any) -> list[Point]:
    """Returns a point for each landscape."""
    return [compile_point(bench, calls, seed, **more) for seed, bench in enumerate(benches)]


def lines_of(points: Mapping[Any, Sequence[Point]]) -> list[list[str]]:
    """Returns the lines of a table."""
    return [
        [
            str(name),
            shown([each.mean for each in mine]),
            shown([each.worst for each in mine]),
            f"{statistics.mean(each.entropy for each in mine):.2f}",
            f"{statistics.stdev(each.mean for each in mine):.3f}" if len(mine) > 1 else "",
        ]
        for name, mine in points.items()
    ]


def line(points: Mapping[Any, Sequence[Point]], measure: str = "mean") -> Line:
    """Returns points as a line to draw."""
    pairs = [mean_and_error([getattr(each, measure) for each in mine]) for mine in points.values()]
    return Line(list(points), [mean for mean, _ in pairs], [error for _, error in pairs])


def temperatures(benches: Sequence[Bench], calls: int) -> dict[float, list[Point]]:
    """Returns temperature → points."""
    return {
        each: study(benches, calls, sampler=register_variant(f"effects-at-{each}", Change(temperature=each)))
        for each in TEMPERATURES
    }


def numbers_of_tasks(benches: Sequence[Bench], calls: int, sampler: str) -> dict[float, list[Point]]:
    """Returns number of tasks → points, the tasks in one nested order."""
    return {
        count: study([_first_tasks(bench, count) for bench in benches], calls, sampler=sampler) for count in NUMBERS
    }


def ablations(benches: Sequence[Bench], calls: int) -> dict[str, list[Point]]:
    """Returns what is taken away → points.

    Conditioning is what differs by kind of task and by task; bias is what items do everywhere; half the pool is every
    other fragment.
    """
    return {
        "nothing": study(benches, calls),
        "gates": study(benches, calls, sampler=WITHOUT_GATES),
        "conditioning": study(benches, calls, sampler=WITHOUT_TASKS),
        "bias": study(benches, calls, sampler=WITHOUT_BIAS),
        "half the pool": study([_half_pool(bench) for bench in benches], calls),
    }


def weightings(benches: Sequence[Bench], calls: int) -> dict[str, list[Point]]:
    """Returns scheme of task weights → points."""
    return {each: study(benches, calls, objective=each) for each in WEIGHTS}


def _first_tasks(bench: Bench, count: int) -> Bench:
    return replace(bench, tasks=bench.tasks[:count])


def _half_pool(bench: Bench) -> Bench:
    return replace(bench, pool=fp.PromptPool(list(bench.pool)[::2]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the studies, prints their tables and draws them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="calls per task")
    parser.add_argument("--seeds", type=int, default=5, help="how many landscapes")
    parser.add_argument("--plot", metavar="FILE", help="draw the studies, if matplotlib is installed")
    options = parser.parse_args(arguments)
    begin()
    benches = [landscape_bench(BENCH, seed) for seed in range(options.seeds)]
    head = ["way from base to optimum", "worst task", "entropy", "sd over landscapes"]

    by_temperature = temperatures(benches, options.calls)
    print(table(["temperature", *head], lines_of(by_temperature)), flush=True)
    shared = numbers_of_tasks(benches, options.calls, WITHOUT_TASKS)
    print("\n" + table(["tasks, shared", *head], lines_of(shared)), flush=True)
    conditioned = numbers_of_tasks(benches, options.calls, "effects")
    print("\n" + table(["tasks, conditioned", *head], lines_of(conditioned)), flush=True)
    without = ablations(benches, options.calls)
    print("\n" + table(["without", *head], lines_of(without)), flush=True)
    by_weights = weightings(benches, options.calls)
    print("\n" + table(["task weights", *head], lines_of(by_weights)), flush=True)
    if options.plot:
        panels = {
            "temperature": Panel(
                "temperature", {"mean": line(by_temperature), "worst task": line(by_temperature, "worst")}, True
            ),
            "number of tasks": Panel("tasks", {"shared": line(shared), "conditioned": line(conditioned)}),
            "ablations": Panel("without", {"mean": line(without), "worst task": line(without, "worst")}),
            "task weights": Panel("scheme", {"mean": line(by_weights), "worst task": line(by_weights, "worst")}),
        }
        plot_panels(panels, options.plot, up="way from base to optimum")


if __name__ == "__main__":
    main()
