"""Programs that are compiled for the source tasks, once each, and kept as artifacts."""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fusionprog as fp
from fusionprog.errors import BudgetError
from fusionprog.runtime.compiled import CompiledProgram
from search.benches import Bench, Rows, Splits, bench_of_shape, make_task
from search.calls import Meter, MeteredModel
from search.variants import WITHOUT_KINDS
from transfer.held_out import HeldOut
from transfer.random_embedder import RandomEmbedder


def model_of(bench: Bench) -> MeteredModel:
    """Returns a benchmark's language model; what it is asked is counted by the compile alone."""
    meter = Meter(bench.answer)
    meter.open()
    return MeteredModel(meter, bench.identity)


def compile_for(bench: Bench, tasks: Sequence[fp.Task], calls: int, seed: int, **more: Any) -> CompiledProgram | None:
    """Compiles tasks with that many calls in all; ``None`` if that is too few for a search."""
    try:
        return fp.compile(
            bench.program,
            tasks,
            pool=bench.pool,
            lm=model_of(bench),
            budget=fp.Budget(calls=calls),
            seed=seed,
            progress=False,
            **more,
        )
    except BudgetError:
        return None


class Sources:
    """The programs of the source tasks, by kind.

    ``whole`` is what a user has. ``random embedding`` is compiled with an embedder that knows nothing, ``without
    kinds`` without effects by kind of task. ``useless`` and ``misled`` come from tasks that are no guide to the others:
    on a landscape nothing is in common, or all effects are the opposite; on data all labels are shuffled, or those of
    train alone, which families make their texts of.

    Args:
        held: The source tasks.
        calls: Calls for each of them.
        seed: The compiles'.
    """

    def __init__(self, held: HeldOut, calls: int, seed: int) -> None:
        self.held = held
        self.embedder = RandomEmbedder(seed)
        self._calls = calls
        self._seed = seed
        self._known: dict[str, CompiledProgram] = {}

    def program(self, kind: str) -> CompiledProgram:
        """Returns the program, loaded from its artifact, on the held-out tasks' model."""
        if kind not in self._known:
            self._known[kind] = self._compiled(kind)
        return self._known[kind]

    def _compiled(self, kind: str) -> CompiledProgram:
        bench = self.held.bench
        more: Mapping[str, Any] = {}
        if kind == "random embedding":
            more = {"embedder": self.embedder}
        elif kind == "without kinds":
            more = {"sampler": WITHOUT_KINDS}
        elif kind != "whole":
            bench = NO_GUIDE[kind](bench, self._seed)
        found = compile_for(bench, bench.tasks, self._calls * len(bench.tasks), self._seed, **more)
        if found is None:
            raise SystemExit(f"{self._calls} calls for each source task are too few for a search")
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the model may be another one is the point
            found.save(Path(folder) / "program.json")
            return fp.load(Path(folder) / "program.json", lm=model_of(self.held.bench))


def useless(bench: Bench, seed: int) -> Bench:
    """Returns sources from which nothing can be learned: nothing in common, or no label that is right."""
    if bench.landscape is not None:
        count = bench.landscape.shape.tasks
        scales = {"shared": 0.0, "group": 0.0, "own": 0.1, "conflicts": 0}
        return _other_landscape(bench, seed, groups=count, **scales)
    return _with_rows(
        bench,
        seed,
        lambda mine, draw: replace(
            mine, train=_shuffled(mine.train, bench.output, draw), val=_shuffled(mine.val, bench.output, draw)
        ),
    )


def misled(bench: Bench, seed: int) -> Bench:
    """Returns sources that teach the opposite: all effects turned round, or wrong labels where texts are made from."""
    if bench.landscape is not None:
        return _other_landscape(bench, seed, turned=True)
    return _with_rows(bench, seed, lambda mine, draw: replace(mine, train=_shuffled(mine.train, bench.output, draw)))


NO_GUIDE: Mapping[str, Callable[[Bench, int], Bench]] = {"useless": useless, "misled": misled}


def _other_landscape(bench: Bench, seed: int, **different: Any) -> Bench:
    assert bench.landscape is not None
    shape = replace(bench.landscape.shape, **different)
    return bench_of_shape(bench.name, shape, seed, left_out=len(bench.left_out))


def _with_rows(bench: Bench, seed: int, change: Callable[[Splits, random.Random], Splits]) -> Bench:
    rows = {task.name: change(bench.rows[task.name], random.Random(f"{seed} {task.name}")) for task in bench.tasks}
    tasks = [
        make_task(task.name, task.description, rows[task.name], bench.output, labels=task.labels)
        for task in bench.tasks
    ]
    return replace(bench, tasks=tasks, rows={**bench.rows, **rows})


def _shuffled(rows: Rows, output: str, draw: random.Random) -> Rows:
    labels = [row[output] for row in rows]
    draw.shuffle(labels)
    return [{**row, output: label} for row, label in zip(rows, labels, strict=True)]
