"""What is compiled: programs, tasks with their rows, and the fragments that all sides get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import fusionprog as fp
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.program import program_graph
from fusionprog.runtime.render import TaskView
from fusionprog.search.preflight import preflight
from fusionprog.search.views import make_scorers
from search.calls import Answer
from search.landscape import SHAPES, Landscape, Shape

Rows = Sequence[Mapping[str, Any]]
_SEED_OF_FAMILIES = 0  # all sides and seeds get the same texts


@dataclass(frozen=True)
class Splits:
    """A task's rows: to build fragments from, to search on, and to score what was found."""

    train: Rows
    val: Rows
    test: Rows


@dataclass(frozen=True, eq=False)
class Bench:
    """One benchmark.

    Attributes:
        name: Its name.
        program: The program.
        output: The output that must be equal to the row's column of that name.
        tasks: The tasks, without test.
        rows: Task → its rows.
        pool: The fragments.
        answer: The language model.
        identity: What its answers depend on beside the messages.
        landscape: What is known of it, where it is a landscape.
        left_out: Tasks of it that nothing is compiled for.
    """

    name: str
    program: fp.Program
    output: str
    tasks: Sequence[fp.Task]
    rows: Mapping[str, Splits]
    pool: fp.PromptPool
    answer: Answer
    identity: Mapping[str, Any]
    landscape: Landscape | None = None
    left_out: Sequence[fp.Task] = field(default=())

    @cached_property
    def graph(self) -> ProgramGraph:
        """The program's graph."""
        return program_graph(self.program)

    @cached_property
    def views(self) -> Mapping[str, TaskView]:
        """Task → the program as the task sees it, and what is on offer there."""
        job = preflight(
            self.program,
            self.tasks,
            pool=self.pool,
            lm="offline",  # is not asked
            budget=fp.Budget(),
            trials=None,
            freeze=(),
            seed=_SEED_OF_FAMILIES,
        )
        return {name: scorer.view for name, scorer in make_scorers(job, {}).items()}


class Decide(fp.Signature):
    """Say which way the case goes."""

    case: str = fp.InputField()
    answer: Literal["north", "east", "south", "west"] = fp.OutputField()


class Read(fp.Signature):
    """Say what the case points to."""

    case: str = fp.InputField()
    evidence: Literal["north", "east", "south", "west"] = fp.OutputField()


class DecideByEvidence(fp.Signature):
    """Say which way the case goes, by what it points to."""

    case: str = fp.InputField()
    evidence: str = fp.InputField()
    answer: Literal["north", "east", "south", "west"] = fp.OutputField()


class OneNode(fp.Program):
    """Decides at once."""

    def __init__(self) -> None:
        super().__init__()
        self.decide = fp.modules.Predict(Decide)

    def forward(self, case: str) -> Any:
        """Returns the answer."""
        return self.decide(case=case).answer


class TwoNodes(fp.Program):
    """Reads, then decides."""

    def __init__(self) -> None:
        super().__init__()
        self.read = fp.modules.Predict(Read)
        self.decide = fp.modules.Predict(DecideByEvidence)

    def forward(self, case: str) -> Any:
        """Returns the answer."""
        evidence = self.read(case=case).evidence
        return self.decide(case=case, evidence=evidence).answer


# Facets of the fragments, in turns: as few roles and patterns as a prompt has room for.
_FACETS: tuple[Literal["role", "pattern", "instruction", "hint", "constraint"], ...] = (
    "instruction", "hint", "constraint", "role", "instruction", "hint", "constraint", "pattern",
    "instruction", "hint", "constraint", "constraint", "instruction", "hint", "constraint", "constraint",
)  # fmt: skip
_TRAIN, _VAL, _TEST = 20, 150, 300


def landscape_bench(name: str, seed: int, *, left_out: int = 0) -> Bench:
    """Returns a landscape of a known shape.

    Args:
        name: The shape's name.
        seed: Decides the effects.
        left_out: How many more tasks there are, which nothing is compiled for.
    """
    shape = replace(SHAPES[name], tasks=SHAPES[name].tasks + left_out)
    return bench_of_shape(name, shape, seed, left_out=left_out)


def bench_of_shape(name: str, shape: Shape, seed: int, *, left_out: int = 0) -> Bench:
    """Returns a landscape of any shape.

    Landscapes of equally many tasks and fragments have the same fragments with the same texts, if their seed is the
    same, whatever these do.

    Args:
        name: What it is called.
        shape: The shape, with all tasks.
        seed: Decides the effects.
        left_out: How many of the tasks are left out.
    """
    known = Landscape(shape, seed)
    fragments = [
        fp.Fragment(key, text, facet=_FACETS[place % len(_FACETS)])
        for place, (key, text) in enumerate(known.fragments.items())
    ]
    rows, tasks = {}, []
    for task, card in known.cards.items():
        cases = [known.case(task, number) for number in range(_TRAIN + _VAL + _TEST)]
        columns = [{"case": case.text, "evidence": case.evidence, "answer": case.answer} for case in cases]
        rows[task] = Splits(columns[:_TRAIN], columns[_TRAIN : _TRAIN + _VAL], columns[_TRAIN + _VAL :])
        tasks.append(make_task(task, card.description, rows[task], "answer"))
    kept = len(tasks) - left_out
    return Bench(
        name=name,
        program=OneNode() if shape.nodes == 1 else TwoNodes(),
        output="answer",
        tasks=tasks[:kept],
        rows=rows,
        pool=fp.PromptPool(fragments),
        answer=known.answer,
        identity=known.identity,
        landscape=known,
        left_out=tasks[kept:],
    )


def make_task(name: str, description: str, splits: Splits, output: str, **more: Any) -> fp.Task:
    """Returns a task that is right where an output is equal to the row's; it has no test rows."""
    return fp.Task(
        name,
        description=description,
        train=list(splits.train),
        val=list(splits.val),
        metric=fp.metrics.exact_match(output),
        **more,
    )


BenchFactory = Callable[[Path | None, int], Bench]
BENCHES: dict[str, BenchFactory] = {
    name: lambda data, seed, name=name: landscape_bench(name, seed)  # type: ignore[misc]
    for name in SHAPES
}
