"""How a compile's time and memory grow with tasks, nodes, items and trials: a model that answers at once.

    python benchmarks/growth.py --plot growth.png
    python benchmarks/growth.py --corner 100 20 500 1000 --minutes 10

Interrupted, it shows what is measured so far.

A chain of nodes is compiled with a budget that gives every trial one example of each task. Each point runs in a
process of its own. The CPU time of a trial is split, from outside, into rendering (of it: mixing, from effects to
weights), the search's own (sampler, study, strategy and books), and the rest, which is the calls: running the graph,
the client, the store, parsing, scoring and the event loop. Peak memory is the process's, less what it has after the
imports and a small compile.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import dspy
import optuna

import fusionprog as fp
from _engines import Answers, Engine, Meter, make_lm
from _measure import table
from fusionprog.prompts.schedule import Mixer
from fusionprog.runtime.render import Renderer
from fusionprog.search import study
from fusionprog.search.events import Event, PhaseStarted, StepDone
from fusionprog.search.trials import Trials

Verdict = Literal["yes", "no"]
FACETS: Sequence[Any] = ("instruction", "hint", "constraint", "pattern", "role")
MIDDLE = (10, 3, 50, 100)
WARM_UP = (2, 1, 10, 40)
CURVES = {
    "tasks": (5, 10, 20, 50, 100),
    "nodes": (1, 3, 6, 10, 20),
    "items": (20, 50, 100, 200, 500),
    "trials": (50, 100, 200, 500, 1000),
}
MEMORY_BAR, TIME_BAR = 1000.0, 50.0  # MB; ms per trial outside rendering, calls and parsing


@dataclass(frozen=True)
class Point:
    """What one compile took.

    Attributes:
        sizes: Tasks, nodes, items, trials.
        wall: Seconds of the compile.
        before: CPU seconds before the search: checks, offers and screening.
        trials: Trials that were told.
        calls: Model calls in the search.
        trial: Milliseconds of a trial: all, calls, rendering, mixing (a part of it), and the search's own.
        memory: MB at most, beyond what the imports took.
        base: MB after the imports.
    """

    sizes: tuple[int, int, int, int]
    wall: float
    before: float
    trials: int
    calls: int
    trial: dict[str, float]
    memory: float
    base: float


class Judge(fp.Signature):
    """Say whether the statement holds."""

    text: str = fp.InputField()
    before: str = fp.InputField(desc="what was said before")
    answer: Verdict = fp.OutputField()


class Chain(fp.Program):
    """Nodes in a row.

    Args:
        nodes: How many.
    """

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.steps = [fp.modules.Predict(Judge) for _ in range(nodes)]

    def forward(self, text: str) -> Any:
        """Feeds each answer to the next node."""
        answer: Any = "nothing"
        for step in self.steps:
            answer = step(text=text, before=answer).answer
        return {"answer": answer}


class Stopwatch:
    """Adds up the CPU time of parts of the library, by wrapping them from outside; what a part calls is not its own.

    Attributes:
        seconds: Part → seconds so far.
    """

    def __init__(self) -> None:
        self.seconds = {"rendering": 0.0, "mixing": 0.0, "own": 0.0, "asking": 0.0}
        self._inner = threading.local()
        self._wrap(Renderer, "prompts", "rendering")
        self._wrap(Mixer, "mixture", "mixing")
        self._wrap(study, "ask", "asking")
        self._wrap(optuna.Study, "tell", "own")
        self._wrap(Trials, "begin", "own")
        self._wrap(Trials, "told", "own")

    def _wrap(self, owner: Any, name: str, part: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            before, outer = time.thread_time(), getattr(self._inner, "seconds", 0.0)
            self._inner.seconds = 0.0
            try:
                return method(*arguments, **options)
            finally:
                took = time.thread_time() - before
                self.seconds[part] += took - self._inner.seconds
                self._inner.seconds = outer + took

        setattr(owner, name, timed)


def peak() -> float:
    """Returns the process's peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make_tasks(count: int) -> list[fp.Task]:
    """Returns tasks with little data: 30 rows to search on, 20 to confirm on."""
    tasks = []
    for number in range(count):
        rows = [
            {"text": f"This is about case {100 * number + row}.", "answer": get_args(Verdict)[row % 2]}
            for row in range(64)
        ]
        about = f"Statements of kind {number}."
        metric = fp.metrics.exact_match("answer")
        tasks.append(fp.Task(f"task{number}", description=about, train=rows[:4], val=rows[4:], metric=metric))
    return tasks


def make_pool(count: int) -> fp.PromptPool:
    """Returns fragments of all kinds."""
    return fp.PromptPool(
        fp.Fragment(f"item{number}", f"Keep point {number} in mind.", facet=FACETS[number % len(FACETS)])
        for number in range(count)
    )


def compile_point(
    sizes: Sequence[int], watch: Stopwatch, seconds: float | None = None, *, shown: bool = False
) -> Point:
    """Compiles once, in this process.

    Args:
        sizes: Tasks, nodes, items, trials.
        watch: Is wound once in a process.
        seconds: When the search ends even if trials are left.
        shown: Whether progress is printed on stderr.
    """
    tasks, nodes, items, trials = sizes
    meter = Meter()
    engine = Engine(Answers({"answer": get_args(Verdict)}), meter)
    marks: dict[str, tuple[float, dict[str, float]]] = {}
    began_search = 0.0
    base, began, began_cpu = peak(), time.perf_counter(), time.process_time()

    def worked() -> float:
        """CPU time of the event loop's thread, on which this is called, and of the sampler, which thinks in others."""
        return time.thread_time() + watch.seconds["asking"]

    def listen(event: Event) -> None:
        nonlocal began_search
        now = worked()
        if isinstance(event, PhaseStarted):
            began_search = time.process_time() if event.phase == "search" else began_search
            marks.setdefault(event.phase, (now, dict(watch.seconds)))
            meter.enter(event.phase)
        elif isinstance(event, StepDone) and event.phase == "search" and shown:
            start, parts = marks["search"]
            own = sum(watch.seconds[part] - parts[part] for part in ("own", "asking"))
            print(
                f"trial {event.step} of {trials}: {(now - start) / event.step * 1e3:.0f} ms a trial, "
                f"{own / event.step * 1e3:.0f} of it the search's own; {peak():.0f} MB",
                file=sys.stderr,
                flush=True,
            )

    with tempfile.TemporaryDirectory() as folder:  # a store in memory would keep every answer there
        record = fp.compile(
            Chain(nodes),
            make_tasks(tasks),
            pool=make_pool(items),
            lm=make_lm(engine),
            trials=trials,
            budget=fp.Budget(calls=_budget(tasks * nodes, trials), seconds=seconds),
            storage=str(Path(folder) / "store.db"),
            callbacks=[listen],
            progress=False,
        ).record
    start, before = marks["search"]
    end, after = marks["confirmation"]
    parts = {part: (after[part] - before[part]) / record.trials * 1e3 for part in after}
    whole = (end - start) / record.trials * 1e3
    rendering, own = parts["rendering"] + parts["mixing"], parts["own"] + parts["asking"]
    trial = {
        "all": whole,
        "calls": whole - rendering - own,
        "rendering": rendering,
        "mixing": parts["mixing"],
        "own": own,
    }
    return Point(
        sizes=(tasks, nodes, items, trials),
        wall=time.perf_counter() - began,
        before=began_search - began_cpu,
        trials=record.trials,
        calls=meter.calls["search"],
        trial=trial,
        memory=peak() - base,
        base=base,
    )


def _budget(calls_per_row: int, trials: int) -> int:
    """Calls that pay for one row of every task in a trial, and not for two."""
    return int((trials + 2) * 1.2 / 0.75) * calls_per_row


def in_own_process(sizes: Sequence[int]) -> Point:
    """Compiles once, in a new process."""
    command = [sys.executable, str(Path(__file__)), "--point", *map(str, sizes)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Point(**{**found, "sizes": tuple(found["sizes"])})


def row(point: Point) -> list[str]:
    """Returns a point as a row of the table."""
    trial = point.trial
    return [
        " × ".join(map(str, point.sizes)),
        f"{point.wall:.1f}",
        f"{point.before:.1f}",
        f"{point.calls / point.trials:.0f}",
        *(f"{trial[part]:.1f}" for part in ("all", "calls", "rendering", "mixing", "own")),
        f"{point.memory:.0f}",
    ]


HEAD = ["tasks × nodes × items × trials", "wall, s", "before, s", "calls/trial", "CPU ms/trial"]
HEAD += ["calls", "rendering", "(mixing)", "own", "MB"]


def plot(curves: dict[str, list[Point]], file: str) -> None:
    """Draws time and memory over each size, if matplotlib is installed."""
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        print("no plot: matplotlib is not installed", file=sys.stderr)
        return
    figure, grid = pyplot.subplots(2, len(curves), figsize=(4 * len(curves), 6), sharey="row", layout="constrained")
    for column, (name, points) in enumerate(curves.items()):
        sizes = [point.sizes[list(CURVES).index(name)] for point in points]
        for part in ("all", "calls", "rendering", "own"):
            grid[0][column].plot(sizes, [point.trial[part] for point in points], marker="o", label=part)
        grid[1][column].plot(sizes, [point.memory for point in points], marker="o", color="black")
        grid[1][column].set_xlabel(name)
        for axes in (grid[0][column], grid[1][column]):
            axes.set_xscale("log")
            axes.set_yscale("log")
    grid[0][0].set_ylabel("ms per trial")
    grid[0][0].legend()
    grid[1][0].set_ylabel("MB beyond the imports")
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the curves, or one point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--middle", type=int, nargs=4, default=MIDDLE, help="the point around which each size is varied"
    )
    parser.add_argument("--curves", nargs="*", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--largest", type=int, default=1000, help="leave out what is larger on any curve")
    parser.add_argument(
        "--corner",
        type=int,
        nargs="*",
        help="one point, 100 20 500 1000 if no sizes are given",
    )
    parser.add_argument("--minutes", type=float, help="end the corner's search after this time")
    parser.add_argument("--plot", metavar="FILE", help="draw the curves, if matplotlib is installed")
    parser.add_argument("--point", type=int, nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    dspy.disable_logging()
    if options.point:
        watch = Stopwatch()
        compile_point(WARM_UP, watch)
        print(json.dumps(asdict(compile_point(options.point, watch))))
        return
    if options.corner is not None:
        seconds = None if options.minutes is None else 60 * options.minutes
        watch = Stopwatch()
        compile_point(WARM_UP, watch)
        point = compile_point(options.corner or (100, 20, 500, 1000), watch, seconds, shown=True)
        print(table(HEAD, [row(point)]))
        print(f"\n{point.trials} trials; bars: {TIME_BAR:.0f} ms own, {MEMORY_BAR:.0f} MB, imports {point.base:.0f}")
        return
    curves: dict[str, list[Point]] = {name: [] for name in options.curves}
    with contextlib.suppress(KeyboardInterrupt):  # what is measured until then is shown
        for name, mine in curves.items():
            place = list(CURVES).index(name)
            for size in CURVES[name]:
                if size <= options.largest:
                    sizes = [size if index == place else other for index, other in enumerate(options.middle)]
                    mine.append(in_own_process(sizes))
                    print(table(HEAD, [row(mine[-1])]).splitlines()[-1], file=sys.stderr, flush=True)
    points = {point.sizes: point for mine in curves.values() for point in mine}
    print(table(HEAD, [row(point) for point in points.values()]))
    base = next((point.base for point in points.values()), 0.0)
    print(f"\nMB: beyond the {base:.0f} of the imports and a small compile; own: outside rendering, calls and parsing")
    if options.plot:
        plot(curves, options.plot)


if __name__ == "__main__":
    main()
