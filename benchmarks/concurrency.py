"""How full a compile keeps its slots: wall time against ``calls x latency / slots``, beside MIPROv2 and GEPA.

    python benchmarks/concurrency.py --calls 8000

Every model call takes 50 ms, and 32 may be under way: in fusionprog as coroutines, in DSPy as threads (on one thread,
DSPy's optimizers ask one call at a time). All sides compile the same three nodes; fusionprog for four tasks, with the
ready-made patterns and the default families, the others for one task with as many rows. The seconds are those from
the start of the compile to its end. For fusionprog it is shown in which phase slots were idle. The bare engine, asked
by 32 coroutines that do nothing else, shows what is left of the ideal for any side: an event loop wakes up at whole
milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import io
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy

import fusionprog as fp
from _desk import VALUES, Desk, DSPyDesk, correct, examples, make_rows
from _engines import Answers, AsyncEngine, Engine, Meter, make_lm
from _measure import begin, table
from fusionprog.search.events import Event, PhaseStarted

SLOTS = 32
TASKS = ("bank", "books", "phones", "travel")
BAR = 0.95


@dataclass(frozen=True)
class Run:
    """What one compile did.

    Attributes:
        calls: Phase → model calls.
        seconds: Phase → how long it took.
        busy: Phase → seconds of all its calls together.
        record: What fusionprog says about it.
    """

    calls: dict[str, int]
    seconds: dict[str, float]
    busy: dict[str, float]
    record: Any = None

    @property
    def wall(self) -> float:
        """Seconds of the whole compile."""
        return sum(self.seconds.values())

    @property
    def total(self) -> int:
        """All its calls."""
        return sum(self.calls.values())

    def ideal(self, latency: float) -> float:
        """Seconds that the calls need if no slot is ever idle."""
        return self.total * latency / SLOTS


def run(meter: Meter, work: Callable[[], Any]) -> Run:
    """Does work and returns what the meter saw."""
    meter.reset()
    record = work()
    meter.enter("after")
    return Run(dict(meter.calls), dict(meter.seconds), dict(meter.busy), record)


def fusionprog(lm: dspy.LM, meter: Meter, options: argparse.Namespace) -> Any:
    """Compiles for four tasks."""

    def listen(event: Event) -> None:
        if isinstance(event, PhaseStarted):
            meter.enter(event.phase)

    tasks = []
    for place, name in enumerate(TASKS):
        rows = make_rows(50 + options.val + options.test, first=1_000_000 * place)
        train, val, test = rows[:50], rows[50 : 50 + options.val], rows[50 + options.val :]
        about = f"Messages to a help desk for {name}."
        tasks.append(fp.Task(name, domain=name, description=about, train=train, val=val, test=test, metric=correct))
    budget = fp.Budget(calls=options.calls)
    with tempfile.TemporaryDirectory() as folder:
        return fp.compile(
            Desk(),
            tasks,
            lm=lm,
            budget=budget,
            concurrency=SLOTS,
            storage=f"{folder}/desk.db" if options.file else None,
            seed=0,
            callbacks=[listen],
            progress=False,
        ).record


def bare(engine: Engine, calls: int) -> None:
    """Asks the engine the last request again and again, in all slots at once."""
    client, request, left = AsyncEngine(engine), engine.requests[-1], iter(range(calls))

    async def slot() -> None:
        for _ in left:
            await client.complete(request)

    async def all_slots() -> None:
        await asyncio.gather(*(slot() for _ in range(SLOTS)))

    asyncio.run(all_slots())


def mipro(lm: dspy.LM, calls: int) -> None:
    """Compiles with MIPROv2: full minibatches, a full evaluation every five trials."""
    trials = max(5, round(calls / 3 / (35 + 200 / 5)))
    optimizer = dspy.MIPROv2(
        metric=correct, prompt_model=lm, task_model=lm, auto=None, num_candidates=8, num_threads=SLOTS
    )
    rows = make_rows(300)
    optimizer.compile(DSPyDesk(), trainset=examples(rows[:100]), valset=examples(rows[100:]), num_trials=trials)


def gepa(lm: dspy.LM, calls: int) -> None:
    """Compiles with GEPA, whose budget counts runs of the program."""

    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        right = correct(gold, pred)
        return dspy.Prediction(score=float(right), feedback="right" if right else f"it should be {gold.action}")

    rows = make_rows(300)
    optimizer = dspy.GEPA(metric=metric, max_metric_calls=calls // 3, reflection_lm=lm, num_threads=SLOTS)
    optimizer.compile(DSPyDesk(), trainset=examples(rows[:100]), valset=examples(rows[100:]))


def silently(compile_program: Callable[[dspy.LM, int], None], lm: dspy.LM, calls: int) -> None:
    """Compiles without what DSPy prints."""
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        compile_program(lm, calls)


def phases(done: Run, latency: float) -> str:
    """Returns a table of a compile's phases.

    What a phase takes beyond the ideal is time in which slots are empty, and time in which calls are done but Python
    is too busy to take their answers.
    """
    lines = []
    for phase, seconds in done.seconds.items():
        calls, busy = done.calls.get(phase, 0), done.busy.get(phase, 0.0)
        ideal = calls * latency / SLOTS
        cells = [seconds, ideal, seconds - busy / SLOTS, busy / SLOTS - ideal]
        lines.append([phase, f"{calls:,}", *(f"{cell:.2f}" for cell in cells), f"{busy / seconds:.1f}"])
    return table(["phase", "calls", "seconds", "ideal", "slots empty", "answers wait", "calls at once"], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs all sides and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=8000, help="budget of the compile; the others get about as many")
    parser.add_argument("--val", type=int, default=150, help="val rows of a task")
    parser.add_argument("--test", type=int, default=50, help="test rows of a task")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that a call takes")
    parser.add_argument("--rounds", type=int, default=3, help="how often fusionprog compiles; the median counts")
    parser.add_argument("--file", action="store_true", help="fusionprog keeps its measurements in a SQLite file")
    parser.add_argument("--only", action="store_true", help="leave MIPROv2 and GEPA out")
    options = parser.parse_args(arguments)
    begin()

    meter = Meter()
    engine = Engine(Answers(VALUES), meter)
    lm = make_lm(engine)
    dspy.configure(lm=lm)
    compilers = {"MIPROv2": mipro, "GEPA": gepa}
    if options.only:
        compilers.clear()
    fusionprog(lm, meter, options)  # all warm up, at no latency
    for compile_program in compilers.values():
        silently(compile_program, lm, 600)
    engine.latency = options.latency
    runs = [run(meter, lambda: fusionprog(lm, meter, options)) for _ in range(options.rounds)]
    ours = sorted(runs, key=lambda each: each.wall)[len(runs) // 2]
    sides = {"bare engine": run(meter, lambda: bare(engine, ours.total)), "fusionprog": ours}
    for name, compile_program in compilers.items():
        sides[name] = run(meter, functools.partial(silently, compile_program, lm, ours.total))
    lines = [
        [
            name,
            f"{done.total:,}",
            f"{done.wall:.1f}",
            f"{done.ideal(options.latency):.1f}",
            f"{sum(done.busy.values()) / done.wall:.1f}",
            f"{done.ideal(options.latency) / done.wall:.1%}",
        ]
        for name, done in sides.items()
    ]
    print(table(["side", "calls", "seconds", "ideal", "calls at once", "of ideal"], lines))
    shares = [each.ideal(options.latency) / each.wall for each in runs]
    print(f"\nfusionprog, median of {len(shares)}: {statistics.median(shares):.1%} of ideal; bar: {BAR:.0%}")
    print(f"logical calls {ours.record.spent['calls']:,}, trials {ours.record.trials}, improved {ours.record.improved}")
    print("\nfusionprog by phase, in seconds of wall time:")
    print(phases(ours, options.latency))


if __name__ == "__main__":
    main()
