"""Which tasks a program is compiled for, and which ones it is taken to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import fusionprog as fp
from search.benches import BENCHES, Bench, landscape_bench
from search.landscape import SHAPES


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Source tasks and the tasks that are held out.

    Attributes:
        name: What is held out.
        bench: The benchmark, with the source tasks as its tasks.
        targets: The tasks that are held out; they say nothing of each other.
    """

    name: str
    bench: Bench
    targets: tuple[fp.Task, ...]


def held_out(name: str, data: Path | None, seed: int, *, left_out: int) -> Iterator[HeldOut]:
    """Yields what is held out of a benchmark in turns.

    Of a landscape, and of a benchmark that has left something out itself, that is held out at once; else every task is
    held out once, and all others are sources.

    Args:
        name: The benchmark's name.
        data: The folder of data sets.
        seed: Decides a landscape's effects.
        left_out: How many tasks of a landscape are held out, beside as many sources as its shape says.
    """
    bench = landscape_bench(name, seed, left_out=left_out) if name in SHAPES else BENCHES[name](data, seed)
    if bench.left_out:
        yield HeldOut("left out", bench, tuple(bench.left_out))
        return
    for task in bench.tasks:
        sources = [each for each in bench.tasks if each is not task]
        yield HeldOut(task.name, replace(bench, tasks=sources, left_out=[task]), (task,))
