"""Compiled programs for the tests of the artifact: put together without a search, or compiled once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusionprog as fp
from fusionprog.artifacts.text import content_hash, to_text
from fusionprog.builders.offers import offers
from fusionprog.evaluation.metrics import as_metric
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.program.program import program_graph
from fusionprog.program.task import bind
from fusionprog.prompts.embedding import Basis, HashedNgrams
from fusionprog.prompts.items import FACETS, Item
from fusionprog.prompts.schedule import Format, NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import Comparison, CompileRecord, Score, TaskRecord
from fusionprog.runtime.render import Renderer, TaskView

Assemble = Callable[..., CompiledProgram]


def open_schedule(nodes: Iterable[str], items: Iterable[Item], form: Format = "chat") -> Schedule:
    """A schedule in which every item is used everywhere, as far as the facets' caps let it."""
    return Schedule(
        everywhere={item.id: 0.5 for item in items},
        nodes={node: NodeSettings(3.0, dict.fromkeys(FACETS, 1.0), form) for node in nodes},
    )


def assemble_program(
    program: fp.Program | fp.ProgramGraph,
    tasks: Sequence[fp.Task],
    items: Sequence[Item] = (),
    *,
    schedule: Schedule | None = None,
    models: Any = None,
    form: Format = "chat",
) -> CompiledProgram:
    """A compiled program as ``compile`` puts it together, without a search: every item is used."""
    graph = program_graph(program)
    asking = [name for name, node in graph.nodes.items() if node.asks_model]
    schedule = open_schedule(asking, items, form) if schedule is None else schedule
    by_id = {item.id: item for item in items}
    embedder = HashedNgrams(32)
    vectors = embedder.embed([f"{task.description} {task.domain}" for task in tasks])
    basis = Basis.fit(vectors)
    renderer = Renderer(by_id)
    made = {}
    for task, vector in zip(tasks, vectors, strict=True):
        bound = bind(graph, task)
        offered = offers(items, task, bound, asking, {}, 0)
        view = TaskView(task.name, task.domain, bound, basis.coordinates(np.asarray(vector)), offered)
        mixtures = renderer.mixtures(schedule, view)
        made[task.name] = CompiledTask(view, task.description, mixtures, as_metric(task.metric))
    half = Score(0.5, 0.05, 40)
    record = CompileRecord(
        tasks={
            task.name: TaskRecord(
                confirmation=Comparison(half, Score(0.75, 0.04, 40), 0.25, 0.06),
                test=None,
                metric=as_metric(task.metric).description,
                cost={"before": {"tokens": 100.0, "usd": None}, "after": {"tokens": 200.0, "usd": None}},
                sizes={"val": 40},
                data={"val": "0" * 32},
            )
            for task in tasks
        },
        improved=True,
        reason="all trials are done",
        trials=1,
        spent={"calls": 1, "tokens": 2, "usd": 0.1 + 0.2},
        phases={"search": 1},
        seed=0,
        optimizer={"name": "fusion"},
        models=dict.fromkeys(asking, "offline"),
        versions={"fusionprog": "0"},
        fingerprint="f" * 32,
    )
    return CompiledProgram(
        graph=graph,
        items=by_id,
        schedule=schedule,
        tasks=made,
        embedder=embedder.identity,
        basis=basis,
        record=record,
        models=models or dict.fromkeys(asking, OfflineModel()),
    )


@pytest.fixture(scope="session")
def assemble() -> Assemble:
    """Puts a compiled program together without a search."""
    return assemble_program
