"""What is measured in a held-out task: zero-shot and its controls, warm starts, and the cold start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fusionprog as fp
from fusionprog.errors import BudgetError
from fusionprog.runtime.compiled import CompiledProgram
from transfer.changed import as_written, turned_round, uniform, without_embedding, without_families
from transfer.programs import Sources, compile_for

WRITTEN, WHOLE, ALONE, ALONE_COMPILED = "as written", "whole", "b alone", "b alone, compiled so"
RANDOM, UNIFORM, NO_FAMILIES = "random embedding", "uniform mixture", "families left out"
COLD, WARM = "cold", "warm"
USELESS, MISLED, TURNED = "warm, useless sources", "warm, misled sources", "warm, sources turned round"


@dataclass(frozen=True, eq=False)
class Terms:
    """What a side gets.

    Attributes:
        sources: The programs of the source tasks.
        task: The held-out task.
        calls: What may be spent in it.
        seed: For splits and draws.
    """

    sources: Sources
    task: fp.Task
    calls: int
    seed: int


@dataclass(frozen=True)
class Made:
    """What a side makes of a held-out task.

    Attributes:
        program: A program that has the task.
        notes: Anything worth knowing.
    """

    program: CompiledProgram
    notes: Mapping[str, Any] = field(default_factory=dict)


Side = Callable[[Terms], Made]


def _by_embedding(kind: str, change: Callable[[CompiledProgram], CompiledProgram] | None = None) -> Side:
    """The side that asks no model: what a program of the sources, or a changed one, makes of the task."""

    def make(terms: Terms) -> Made:
        program = terms.sources.program(kind)
        embedder = terms.sources.embedder if kind == "random embedding" else None
        made = (change(program) if change else program).adapt(terms.task, trials=0, embedder=embedder)
        adapted = made.record.tasks[terms.task.name].adapted
        assert adapted is not None
        return Made(made, {"expected": adapted.expected, "se": adapted.se})

    return make


def _written(terms: Terms) -> CompiledProgram:
    return as_written(terms.sources.program("whole")).adapt(terms.task, trials=0)


def _warm(kind: str, change: Callable[[CompiledProgram], CompiledProgram] | None = None) -> Side:
    """The side that searches from what a program of the sources, or a changed one, knows."""

    def make(terms: Terms) -> Made:
        program = terms.sources.program(kind)
        budget = fp.Budget(calls=terms.calls)
        try:
            made = (change(program) if change else program).adapt(
                terms.task, budget=budget, seed=terms.seed, progress=False
            )
        except BudgetError:
            return Made(_written(terms), {"refused": True})
        return Made(made, _told(made))

    return make


def _cold(terms: Terms) -> Made:
    """A compile of the task alone."""
    found = compile_for(terms.sources.held.bench, [terms.task], terms.calls, terms.seed)
    return Made(_written(terms), {"refused": True}) if found is None else Made(found, _told(found))


def _told(program: CompiledProgram) -> dict[str, Any]:
    record = program.record
    held = {} if record.learned is None else record.learned.sources
    return {
        "spent": int(record.spent["calls"]),
        "why": record.notes[-1] if record.notes else "",
        "sources": {name: round(weight, 3) for name, weight in held.items()},
    }


ZERO_SHOT: Mapping[str, Side] = {
    WRITTEN: lambda terms: Made(_written(terms)),
    WHOLE: _by_embedding("whole"),
    ALONE: _by_embedding("whole", without_embedding),
    UNIFORM: _by_embedding("whole", uniform),
    NO_FAMILIES: _by_embedding("whole", without_families),
}
COMPILED_CONTROLS: Mapping[str, Side] = {  # whose sources are compiled for themselves
    ALONE_COMPILED: _by_embedding("without kinds"),
    RANDOM: _by_embedding("random embedding"),
}
STARTS: Mapping[str, Side] = {COLD: _cold, WARM: _warm("whole")}
HOSTILE: Mapping[str, Side] = {
    COLD: _cold,
    USELESS: _warm("useless"),
    MISLED: _warm("misled"),
    TURNED: _warm("whole", turned_round),
}
WITHOUT_SOURCES = (WRITTEN, COLD)
"""Sides that are the same whatever the sources are."""
