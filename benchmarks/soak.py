"""Kills small compiles for as long as you like, and checks after each that nothing was lost or asked again.

    python benchmarks/soak.py --kills 500
    python benchmarks/soak.py --kills 100 --workers

Each compile is killed once or twice at random moments and then run to its end, against a server on this machine that
counts what it is asked (the tests in ``tests/durability`` do the same with fixed seeds). With ``--workers`` three
processes share a PostgreSQL database, and one of them is killed; Debian's package must be installed. Stops with the
first thing that went wrong, and names the seed: ``--seed N --kills 1`` does it again, as far as time allows.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.durability.kills import Kill, draw_kills, kill_and_continue
from tests.durability.scene import Scene, Whole, open_scene, undisturbed
from tests.durability.workers import WORKERS, kill_one_worker
from tests.postgres import PostgresServer, binaries


def main() -> None:
    """Kills, and prints what it cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="compiles that are killed")
    parser.add_argument("--seed", type=int, help="seed of the first; the next has the next (drawn, if not given)")
    parser.add_argument("--workers", action="store_true", help="kill one of three workers on a PostgreSQL database")
    arguments = parser.parse_args()
    first = secrets.randbelow(10**9) if arguments.seed is None else arguments.seed
    folder = Path(tempfile.mkdtemp(prefix="fusionprog-soak-"))
    server = new_server() if arguments.workers else None
    try:
        with open_scene() as scene:
            whole = undisturbed(scene, folder)
            soak(scene, whole, server, range(first, first + arguments.kills))
    finally:
        shutil.rmtree(folder)
        if server is not None:
            server.remove()


def new_server() -> PostgresServer:
    if binaries() is None:
        sys.exit("There is no PostgreSQL on this machine; install Debian's package postgresql.")
    return PostgresServer()


def soak(scene: Scene, whole: Whole, server: PostgresServer | None, seeds: range) -> None:
    """Kills a compile for every seed.

    Raises:
        AssertionError: if something went wrong; its folder is left and named.
    """
    repeated, times = [], []
    for seed in seeds:
        folder = Path(tempfile.mkdtemp(prefix=f"fusionprog-soak-{seed}-"))
        started = time.perf_counter()
        try:
            repeated.append(kill(scene, whole, server, folder, seed))
        except BaseException:
            print(f"seed {seed}: what is left is in {folder}", file=sys.stderr)
            raise
        times.append(time.perf_counter() - started)
        shutil.rmtree(folder)
        if len(times) % 50 == 0 or seed == seeds[-1]:
            print(
                f"{len(times):6,} compiles of {whole.calls} calls killed and continued to the same artifact; "
                f"repeated calls: {statistics.mean(repeated):.1f} on average, {max(repeated)} at most; "
                f"median {statistics.median(times):.2f} s",
                flush=True,
            )


def kill(scene: Scene, whole: Whole, server: PostgresServer | None, folder: Path, seed: int) -> int:
    """Kills one compile, or one of three workers, and returns how many calls were made more than once."""
    if server is None:
        return kill_and_continue(scene, folder, whole, draw_kills(seed, whole.calls))
    draw = random.Random(seed)
    moment = Kill(draw.randint(0, whole.calls - 1), draw.uniform(0, 0.02))
    url = server.new_database()
    try:
        return kill_one_worker(scene, folder, url, whole, draw.randrange(WORKERS), moment)
    finally:
        server.drop(url)


if __name__ == "__main__":
    main()
