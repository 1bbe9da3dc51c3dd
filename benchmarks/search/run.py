"""All sides on the same language model, data, fragments and number of calls.

python benchmarks/search/run.py run --bench landscape --sides fusionprog tpe --seeds 5 --calls 500 -o results.jsonl
python benchmarks/search/run.py report results.jsonl --plot scores.png

Every compile gets as many calls as its tasks have together, each counted at the model; sides that compile one task at a
time get an equal share for each. Test is scored afterwards, apart.
"""

from __future__ import annotations

import argparse
import json
import os
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
from _measure import begin
from search.benches import BENCHES, Bench
from search.calls import Meter
from search.scores import score
from search.sides import SIDES, Terms


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is asked for and appends a line of JSON for every compile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--bench", nargs="+", required=True, choices=sorted(BENCHES))
    run.add_argument("--sides", nargs="+", default=["all"], choices=["all", *SIDES])
    run.add_argument("--seeds", type=int, default=5, help="how many; a landscape is another one for each")
    run.add_argument("--first-seed", type=int, default=0)
    run.add_argument("--calls", type=int, nargs="+", default=[500], help="calls per task")
    run.add_argument("--data", type=Path, help="folder of data sets")
    run.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    begin()
    names = list(SIDES) if "all" in options.sides else options.sides
    for bench_name in options.bench:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            bench = BENCHES[bench_name](options.data, seed)
            for calls in options.calls:
                for name in names:
                    line = run_one(bench, name, calls, seed)
                    with options.output.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                    shown = line["true"] if bench.landscape else line["test"]
                    mean = sum(shown.values()) / len(shown)
                    items = sum(line["items"].values()) / len(shown)
                    print(
                        f"{bench_name} seed {seed} calls {calls} {name:20} {mean:.3f} worst {min(shown.values()):.3f} "
                        f"asked {line['asked']:,} items {items:.1f} {line['seconds']} s {line.get('why', '')}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
