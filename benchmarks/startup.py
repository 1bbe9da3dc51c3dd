"""Start-up times: importing the package, and asking the command for help; median of several fresh processes.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 9
HEAVY = ("dspy", "litellm", "optuna", "sklearn", "sqlalchemy")


def seconds(command: list[str]) -> float:
    """Returns the median wall-clock time of a command."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Prints both times beside the interpreter's own."""
    command = Path(sys.executable).with_name("fusionprog")
    bare = seconds([sys.executable, "-c", "pass"])
    imported = seconds([sys.executable, "-c", "import fusionprog"])
    print(f"the interpreter alone   {bare:.3f} s")
    print(f"import fusionprog       {imported:.3f} s, {imported - bare:.3f} s of it the import")
    print(f"fusionprog --help       {seconds([str(command), '--help']):.3f} s")
    loaded = f"import sys, fusionprog; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.check_output([sys.executable, "-c", loaded], text=True).strip()
    print(f"heavy libraries loaded by the import: {found}")


if __name__ == "__main__":
    main()
