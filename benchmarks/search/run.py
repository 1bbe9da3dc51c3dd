"""All sides on the same language model, data, fragments and number of calls.

python benchmarks/search/run.py run --bench landscape --sides fusionprog tpe --seeds 5 --calls 500 -o results.jsonl
python benchmarks/search/run.py report results.jsonl --plot scores.png
    python benchmarks/search/run.py zero-shot
    python benchmarks/search/run.py useless
    python benchmarks/search/run.py agreement --bench legalbench bbh --data DATA
    python benchmarks/search/run.py intervals

Every compile gets as many calls as its tasks have together, each counted at the model; sides that compile one task at a
time get an equal share for each. Test is scored afterwards, apart.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import search.data_benches
import search.dspy_sides
import search.gepa_side  # noqa: F401
from _measure import begin, table
from search.agreement import agreements, overall
from search.benches import BENCHES, Bench
from search.calls import Meter
from search.intervals import LANDSCAPES, quality, said_of
from search.report import plot_scores, reached, read_runs, score_of, scores, shown
from search.scores import score
from search.sides import SIDES, Terms
from search.zero_shot import compare

_STRENGTHS = (("all", 0.0, math.inf), ("below .05", 0.0, 0.05), (".1 and more", 0.1, math.inf))
NOT_HERE = "SAMMO is skipped: its release 0.3.3 wants numpy below 2, which is not what the others run on here"


def run_one(bench: Bench, name: str, calls: int, seed: int) -> dict[str, Any]:
    """Compiles with one side, then scores on test; returns what is to be reported."""
    meter = Meter(bench.answer)
    started = time.perf_counter()
    found = SIDES[name](Terms(bench, meter, calls, seed))
    seconds = time.perf_counter() - started
    meter.open()
    scores = {task: score(bench, task, runner, meter) for task, runner in found.runners.items()}
    return {
        "bench": bench.name,
        "side": name,
        "calls": calls,
        "seed": seed,
        "asked": meter.count,
        "seconds": round(seconds, 1),
        "test": {task: mine.test for task, mine in scores.items()},
        "true": {task: mine.true for task, mine in scores.items()},
        "items": {task: mine.items for task, mine in scores.items()},
        "reported": dict(found.reported),
        **found.notes,
    }


def run_all(options: argparse.Namespace) -> None:
    """Runs sides on benchmarks and appends a line of JSON for every one."""
    names = list(SIDES) if "all" in options.sides else options.sides
    if "all" in options.sides:
        print(NOT_HERE)
    for bench_name in options.bench:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            bench = BENCHES[bench_name](options.data, seed)
            for calls in options.calls:
                for name in names:
                    line = run_one(bench, name, calls, seed)
                    with options.output.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
                    mean, worst = score_of(line), min(line["true"].values())
                    asked = f"{line['asked']:,} of {calls * len(bench.tasks):,} calls, {line['seconds']} s"
                    where = f"{bench_name} seed {seed} calls {calls} {name}"
                    print(f"{where}: {mean:.3f}, worst task {worst:.3f}, {asked} {line.get('why', '')}", flush=True)


def report(options: argparse.Namespace) -> None:
    """Prints tables of what was run, and draws it."""
    runs = read_runs(options.results)
    print(scores(runs))
    print("\n" + reached(runs))
    if options.plot:
        plot_scores(runs, options.plot)


def transfer(options: argparse.Namespace) -> None:
    """Compiles most tasks of a landscape and shows how far the others come with no call of their own."""
    found = compare(options.bench, options.calls, options.seeds, options.left_out)
    lines = [
        [side, shown([each["share"] for each in mine]), shown([each["source"] for each in mine])]
        for side, mine in found.items()
    ]
    print("\n" + table(["of the way from base to optimum", "left-out tasks", "source tasks"], lines))
    first, *others = found
    for other in others:
        paired = [one["share"] - two["share"] for one, two in zip(found[first], found[other], strict=True)]
        print(f"\n{first} less {other} on left-out tasks, paired: {shown(paired, signed=True)}")


def useless(options: argparse.Namespace) -> None:
    """Compiles with fragments that do nothing: how often they replace the program, and what is reported of it."""
    replaced, errors = 0, []
    for seed in range(options.compiles):
        bench = BENCHES["landscape-useless"](None, seed)
        line = run_one(bench, "fusionprog", options.calls, seed)
        replaced += line["improved"]
        errors.append(statistics.mean(line["reported"][task] - line["true"][task] for task in line["true"]))
    print(f"the program was replaced in {replaced} of {options.compiles} compiles")
    print(f"reported less true score: {shown(errors, signed=True)}")


def agree(options: argparse.Namespace) -> None:
    """Shows what prompts' scores on val say of those on test, whatever a search does."""
    for name in options.bench:
        found = agreements(BENCHES[name](options.data, 0), options.prompts, seed=0)
        lines = [
            [each.task, f"{each.correlation:+.2f}", f"{each.written:.3f}", f"{each.mean:.3f}", f"{each.chosen:.3f}"]
            for each in [*found, overall(found)]
        ]
        heads = [name, "val with test", "as written", "random prompts", "best of them on val"]
        print("\n" + table(heads, lines), flush=True)


def intervals(options: argparse.Namespace) -> None:
    """Shows how often the 95% intervals of effects hold what is true, by how strong the effects are."""
    lines = []
    for name in LANDSCAPES:
        for calls in options.calls:
            said = [each for seed in range(options.seeds) for each in said_of(name, calls, seed)]
            for words, least, below in _STRENGTHS:
                mine = [each for each in said if least <= abs(each.true) < below]
                if mine and (words == "all" or len(mine) < len(said)):
                    good = quality(mine)
                    numbers = [f"{good.held:.0%}", f"{good.error:.3f}", f"{good.se:.3f}", f"{good.bias:+.3f}"]
                    lines.append([name, str(calls), words, str(good.effects), *numbers])
            print(f"{name}, {calls} calls per task: done", file=sys.stderr)
    heads = ["landscape", "calls per task", "effects", "n", "intervals that hold", "error", "standard error", "bias"]
    print("\n" + table(heads, lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and does what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run sides on benchmarks")
    run.add_argument("--bench", nargs="+", required=True, choices=sorted(BENCHES))
    run.add_argument("--sides", nargs="+", default=["all"], choices=["all", *SIDES])
    run.add_argument("--seeds", type=int, default=5, help="how many; a landscape is another one for each")
    run.add_argument("--first-seed", type=int, default=0)
    run.add_argument("--calls", type=int, nargs="+", default=[300], help="calls per task")
    run.add_argument("--data", type=Path, help="folder of data sets")
    run.add_argument("-o", "--output", type=Path, required=True, help="lines of JSON are appended to it")
    run.set_defaults(work=run_all)
    show = commands.add_parser("report", help="tables of what was run")
    show.add_argument("results", type=Path)
    show.add_argument("--plot", metavar="FILE", help="draw scores over calls, if matplotlib is installed")
    show.set_defaults(work=report)
    zero = commands.add_parser("zero-shot", help="tasks that nothing was compiled for")
    zero.add_argument("--bench", default="landscape-12")
    zero.add_argument("--calls", type=int, default=300, help="calls per source task")
    zero.add_argument("--seeds", type=int, default=5)
    zero.add_argument("--left-out", type=int, default=3, help="how many tasks are left out")
    zero.set_defaults(work=transfer)
    none = commands.add_parser("useless", help="compiles with fragments that do nothing")
    none.add_argument("--compiles", type=int, default=50)
    none.add_argument("--calls", type=int, default=300, help="calls per task")
    none.set_defaults(work=useless)
    both = commands.add_parser("agreement", help="whether a better score on val means a better one on test")
    both.add_argument("--bench", nargs="+", required=True, choices=sorted(BENCHES))
    both.add_argument("--prompts", type=int, default=100, help="random ones, for each task")
    both.add_argument("--data", type=Path, help="folder of data sets")
    both.set_defaults(work=agree)
    true = commands.add_parser("intervals", help="whether the intervals of effects hold")
    true.add_argument("--calls", type=int, nargs="+", default=[100, 500], help="calls per task")
    true.add_argument("--seeds", type=int, default=5)
    true.set_defaults(work=intervals)
    options = parser.parse_args(arguments)
    begin()
    options.work(options)


if __name__ == "__main__":
    main()
