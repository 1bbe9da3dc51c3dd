"""Programs in tasks that they were not compiled for: zero-shot, controls, warm against cold, and hostile sources.

    python benchmarks/transfer/run.py run --bench clinc150 banking77 landscape-12 --data DATA -o results.jsonl
    python benchmarks/transfer/run.py report results.jsonl --plot transfer.png

Of a data set every domain is held out in turns and all others are compiled together. What is already in the results is
not measured again. Test is scored by the benchmark itself, apart from all compiles.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import search.data_benches  # noqa: F401
from _measure import begin
from search.benches import BENCHES
from transfer.held_out import HeldOut, held_out
from transfer.programs import Sources
from transfer.report import plot_starts, read_lines, tables
from transfer.scoring import Scorer
from transfer.sides import COMPILED_CONTROLS, HOSTILE, STARTS, WITHOUT_SOURCES, ZERO_SHOT, Side, Terms

PARTS: Mapping[str, Mapping[str, Side]] = {
    "zero-shot": ZERO_SHOT,
    "compiled-controls": COMPILED_CONTROLS,
    "starts": STARTS,
    "hostile": HOSTILE,
}
Key = tuple[str, int, int, str, str, int]


def sides_of(options: argparse.Namespace) -> dict[tuple[str, int], Side]:
    """Returns (side, calls) → side, for all that is to be measured in a held-out task."""
    budgets = {"starts": options.calls, "hostile": options.hostile_calls}
    return {
        (name, calls): side
        for part in options.parts
        for calls in budgets.get(part, [0])
        for name, side in PARTS[part].items()
    }


def measure(
    held: HeldOut, sides: Mapping[tuple[str, int], Side], source_calls: int, seed: int, known: Container[Key]
) -> Iterator[dict[str, Any]]:
    """Yields a line for all that is measured in the held-out tasks and not known yet."""
    sources, scorer = Sources(held, source_calls, seed), Scorer(held.bench)
    for task in held.targets:
        for (name, calls), side in sides.items():
            of_sources = 0 if name in WITHOUT_SOURCES else source_calls
            if (held.bench.name, seed, of_sources, task.name, name, calls) in known:
                continue
            started = time.perf_counter()
            made = side(Terms(sources, task, calls, seed))
            seconds = time.perf_counter() - started
            score = scorer(made.program, task.name)
            yield {
                "bench": held.bench.name,
                "seed": seed,
                "source_calls": of_sources,
                "task": task.name,
                "side": name,
                "calls": calls,
                "score": round(score, 5),
                "share": scorer.share(task.name, score),
                "seconds": round(seconds, 2),
                **made.notes,
            }


def run_all(options: argparse.Namespace) -> None:
    """Measures what the results do not hold yet, and appends a line of JSON for every program."""
    lines = read_lines(options.output) if options.output.exists() else []
    known = {key_of(line) for line in lines}
    sides = sides_of(options)
    for name in options.bench:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for held in held_out(name, options.data, seed, left_out=options.left_out):
                for source_calls in options.source_calls:
                    for line in measure(held, sides, source_calls, seed, known):
                        known.add(key_of(line))
                        with options.output.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(line) + "\n")
                        where = f"{name} seed {seed} {line['task']}: {line['side']}, {line['calls']} calls"
                        print(f"{where}: {line['score']:.3f} ({line['seconds']} s) {line.get('why', '')}", flush=True)


def key_of(line: Mapping[str, Any]) -> Key:
    """Returns what a line is about."""
    bench, seed, source_calls, task, side, calls = (
        line[name] for name in ("bench", "seed", "source_calls", "task", "side", "calls")
    )
    return bench, seed, source_calls, task, side, calls


def report(options: argparse.Namespace) -> None:
    """Prints tables of what was measured, and draws it."""
    lines = read_lines(options.results)
    print("\n\n".join(tables(lines)))
    if options.plot:
        plot_starts(lines, options.plot)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and does what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="compile sources and measure held-out tasks")
    run.add_argument("--bench", nargs="+", required=True, choices=sorted(BENCHES))
    run.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    run.add_argument("--seeds", type=int, default=5, help="how many; a landscape is another one for each")
    run.add_argument("--first-seed", type=int, default=0)
    run.add_argument("--source-calls", type=int, nargs="+", default=[300], help="calls for each source task")
    run.add_argument("--calls", type=int, nargs="+", default=[25, 50, 100, 200, 400], help="calls in a held-out task")
    run.add_argument("--hostile-calls", type=int, nargs="+", default=[50, 100, 400], help="likewise, bad sources")
    run.add_argument("--left-out", type=int, default=6, help="held-out tasks of a landscape")
    run.add_argument("--data", type=Path, help="folder of data sets")
    run.add_argument("-o", "--output", type=Path, required=True, help="lines of JSON are appended to it")
    run.set_defaults(work=run_all)
    show = commands.add_parser("report", help="tables of what was measured")
    show.add_argument("results", type=Path)
    show.add_argument("--plot", metavar="FILE", help="draw scores over calls, if matplotlib is installed")
    show.set_defaults(work=report)
    options = parser.parse_args(arguments)
    begin()
    options.work(options)


if __name__ == "__main__":
    main()
