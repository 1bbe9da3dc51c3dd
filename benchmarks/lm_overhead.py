"""What a model call costs in Python, beside ``dspy.Evaluate`` and MIPROv2: CPU time with a model that answers at once.

    python benchmarks/lm_overhead.py --rows 700 --rounds 3

All sides run the same three nodes with four demonstrations each, on the same in-process engine, which is measured
alone too. A side's own cost is its CPU time per call less the engine's. CPU times are those of the whole process, all
threads together, per call that reached the engine, from the first call on; what comes before it (checks, plans) is
reported apart. The first round of every side is to warm up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import io
import os
import tempfile
from collections.abc import Sequence
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy

from _desk import VALUES, DSPyDesk, correct, examples, make_rows
from _engines import Answers, AsyncEngine, Engine, Meter, make_lm
from _fusionprog import DEMO_ROWS, Evaluation, compile_once
from _measure import begin, measure, table

BAR = 0.1


def mipro_once(lm: dspy.LM, rows: list[dict[str, str]], trials: int) -> None:
    """Runs a whole compile of MIPROv2 with up to four demonstrations a node."""
    optimizer = dspy.MIPROv2(
        metric=correct,
        prompt_model=lm,
        task_model=lm,
        auto=None,
        num_candidates=12,
        num_threads=1,
        max_bootstrapped_demos=4,
        max_labeled_demos=4,
        track_stats=False,
    )
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        optimizer.compile(
            DSPyDesk(),
            trainset=examples(rows[:50]),
            valset=examples(rows[50:250]),
            num_trials=trials,
            program_aware_proposer=False,
            data_aware_proposer=False,
        )


def bare(engine: Engine, calls: int) -> None:
    """Asks the engine the last request again and again."""
    request = engine.requests[-1]
    for _ in range(calls):
        engine.complete(request)


def bare_async(engine: Engine, calls: int) -> None:
    """The same from a coroutine."""

    async def ask() -> None:
        client, request = AsyncEngine(engine), engine.requests[-1]
        for _ in range(calls):
            await client.complete(request)

    asyncio.run(ask())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures all sides and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=700, help="rows that are evaluated; three calls each")
    parser.add_argument("--calls", type=int, default=8000, help="budget of fusionprog's compile")
    parser.add_argument("--trials", type=int, default=20, help="trials of MIPROv2")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    begin()

    meter = Meter()
    engine = Engine(Answers(VALUES), meter)
    lms = {"async": make_lm(engine), "sync": make_lm(engine, sync_only=True)}
    dspy.configure(lm=lms["async"])
    rows = make_rows(max(options.rows, 300))
    evaluated = rows[: options.rows]
    data = examples(evaluated)
    sides: dict[str, Any] = {}
    for threads in (1, 8):
        evaluate = dspy.Evaluate(devset=data, metric=correct, num_threads=threads, display_progress=False)
        sides[f"dspy.Evaluate, threads: {threads}"] = functools.partial(evaluate, DSPyDesk(DEMO_ROWS))
    sides["MIPROv2, threads: 1"] = functools.partial(mipro_once, lms["async"], rows, options.trials)
    sides["bare engine, sync"] = functools.partial(bare, engine, options.rows * 3)
    sides["bare engine, async"] = functools.partial(bare_async, engine, options.rows * 3)
    with tempfile.TemporaryDirectory() as folder:
        for kind, lm in lms.items():
            for where, place in (("memory", None), ("file", folder)):
                sides[f"evaluation, {kind}, {where}"] = Evaluation(lm, evaluated, place)
                sides[f"fp.compile, {kind}, {where}"] = functools.partial(compile_once, lm, rows, options.calls, place)
        costs = measure(sides, meter, options.rounds)

    bares = {name: costs[f"bare engine, {'async' if ', async' in name else 'sync'}"] for name in costs}
    own = {name: cost.cpu - bares[name].cpu for name, cost in costs.items()}
    lines = []
    for name, cost in costs.items():
        ours = name.startswith(("evaluation", "fp.compile"))
        ratios = [own[name] / own[side] for side in ("dspy.Evaluate, threads: 1", "MIPROv2, threads: 1")]
        lines.append(
            [
                name,
                f"{cost.calls:,}",
                f"{cost.demos:.1f}",
                f"{cost.cpu:.1f}",
                "" if name.startswith("bare") else f"{own[name]:.1f}",
                *(f"{ratio:.3f}{'' if ratio <= BAR else ' > 0.1'}" if ours else "" for ratio in ratios),
                f"{cost.fixed:.0f}",
            ]
        )
    head = ["side", "calls", "demos", "CPU µs/call", "own", "of Evaluate", "of MIPROv2", "before, ms"]
    print(table(head, lines))
    print(f"\nown: CPU less the bare engine's; bar: at most {BAR} of dspy.Evaluate's and of MIPROv2's, 1 thread each")


if __name__ == "__main__":
    main()
