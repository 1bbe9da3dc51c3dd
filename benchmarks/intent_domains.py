"""One program over a folder of intent domains: test accuracy before and after compiling, calls and seconds.

    python benchmarks/intent_domains.py DATA/clinc150 --calls 10000 --seeds 0 1 2

Both sides are measured in one run, on the same test rows, by the same compile: the program as written and what the
compiler returns. Train and val are used for the compile; test is only reported.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "intent_domains" / "program.py"


def main() -> None:
    """Compiles once for every seed and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of domains, each with train.jsonl, val.jsonl, test.jsonl")
    parser.add_argument("--calls", type=int, default=10_000, help="logical calls at most, without the test report")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--leave-out", nargs="*", default=["oos"], help="domains that are no task of their own")
    parser.add_argument("--sampler", default="effects")
    arguments = parser.parse_args()

    started = time.perf_counter()
    import fusionprog as fp
    from fusionprog.cli.program_file import read_program_file

    os.environ["FUSIONPROG_DATA"] = str(arguments.data)
    example = read_program_file(str(EXAMPLE))
    compile_program = fp.compile
    print(f"imports: {time.process_time():.1f} s of CPU\n", flush=True)
    tasks = [task for task in example.tasks if task.name not in arguments.leave_out]
    means = []
    for seed in arguments.seeds:
        started = time.perf_counter()
        compiled = compile_program(
            example.program,
            tasks,
            lm="offline",
            budget=fp.Budget(calls=arguments.calls),
            sampler=arguments.sampler,
            seed=seed,
            progress=False,
        )
        seconds = time.perf_counter() - started
        tests = {name: task.test for name, task in compiled.record.tasks.items() if task.test is not None}
        before = statistics.mean(test.before.mean for test in tests.values())
        after = statistics.mean(test.after.mean for test in tests.values())
        worst = min(test.gain for test in tests.values())
        means.append(after)
        print(f"\nseed {seed}: {seconds:.0f} s, {int(compiled.record.spent['calls']):,} calls")
        print("  " + ", ".join(f"{phase} {calls:,}" for phase, calls in compiled.record.phases.items()))
        for name, test in tests.items():
            scores = f"{test.before.mean:.3f} → {test.after.mean:.3f}"
            print(f"  {name:18} {scores}  ({test.gain:+.3f} ± {test.se:.3f}, n={test.after.n})")
        print(f"  {'mean':18} {before:.3f} → {after:.3f}  ({after - before:+.3f}); worst task {worst:+.3f}", flush=True)
    if len(means) > 1:
        error = statistics.stdev(means) / len(means) ** 0.5
        print(f"\nmean after, over {len(means)} seeds: {statistics.mean(means):.3f} ± {error:.3f}")


if __name__ == "__main__":
    main()
