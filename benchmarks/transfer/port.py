"""A program taken from one embedded reader to the other: what is lost, and what a search there regains.

    python benchmarks/transfer/port.py --data DATA --domains banking home work --calls 200 --seeds 0 1 2 3 4

Needs the extra ``semantic``. For each direction and seed: the program as written and the one compiled for the first
reader, on both readers; the same taken to the second with ``adapt(lm=...)``; and a program compiled for the second from
nothing, with as many calls. Scores are on test rows, which nothing was chosen on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fusionprog as fp
from search.benches import Bench
from search.data_benches import clinc150

READERS = ("offline", "offline-semantic")
COLUMNS = ("as written", "on the first", "ported as it is", "ported, chosen again", "compiled on the second")


def test_score(bench: Bench, program: fp.CompiledProgram, rows: int) -> float:
    """Returns the mean accuracy over tasks on test."""
    scores = [program.evaluate(task, data=list(bench.rows[task].test)[:rows]).score.mean for task in program.tasks]
    return statistics.mean(scores)


def measured(
    bench: Bench, tasks: Sequence[fp.Task], first: str, second: str, calls: int, seed: int, rows: int
) -> dict[str, float]:
    """Returns the test scores of one direction and seed."""
    how: dict[str, Any] = {"budget": fp.Budget(calls=calls * len(tasks)), "seed": seed, "progress": False}
    program = fp.compile(bench.program, tasks, pool=bench.pool, lm=first, **how)
    again = program.adapt(tasks, lm=second, **how)
    cold = fp.compile(bench.program, tasks, pool=bench.pool, lm=second, **how)
    moved = program.with_models(dict.fromkeys(program.models, again.models["classify"]))
    nothing = fp.compile(bench.program, tasks, pool=fp.PromptPool([]), lm=second, trials=1, seed=seed, progress=False)
    values = (
        test_score(bench, nothing, rows),
        test_score(bench, program, rows),
        test_score(bench, moved, rows),
        test_score(bench, again, rows),
        test_score(bench, cold, rows),
    )
    return dict(zip(COLUMNS, values, strict=True))


def report(found: Mapping[tuple[str, str], Sequence[Mapping[str, float]]]) -> None:
    """Prints a line for each direction: means over seeds, with standard errors."""
    print(f"| {'from → to':28} | " + " | ".join(COLUMNS) + " |")
    for (first, second), lines in found.items():
        cells = []
        for name in COLUMNS:
            values = [line[name] for line in lines]
            error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.3f} ± {error:.3f}")
        print(f"| {f'{first} → {second}':28} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measures both directions and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domains", nargs="+", default=["banking", "home", "work"])
    parser.add_argument("--calls", type=int, default=200, help="in every task")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rows", type=int, default=150, help="test rows of every task")
    options = parser.parse_args()
    bench = clinc150(options.data)
    tasks = [task for task in bench.tasks if task.name in options.domains]
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in options.seeds:
        for first, second in (READERS, READERS[::-1]):
            line = measured(bench, tasks, first, second, options.calls, seed, options.rows)
            found.setdefault((first, second), []).append(line)
            print(f"seed {seed}, {first} → {second}: {line}", file=sys.stderr, flush=True)
    report(found)


if __name__ == "__main__":
    main()
