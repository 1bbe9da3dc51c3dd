"""Compiled programs for the tests of the artifact: one that is compiled once, others put together without a search."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
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
from fusionprog.prompts.embedders import HashedNgrams
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import FACETS, Item
from fusionprog.prompts.schedule import Format, NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import Comparison, CompileRecord, Score, TaskRecord
from fusionprog.runtime.render import Renderer, TaskView

SOURCE = Path(__file__).with_name("everything_program.py")


def open_schedule(nodes: Iterable[str], items: Iterable[Item], form: Format) -> Schedule:
    """A schedule in which every item is used everywhere, as far as the facets' caps let it."""
    return Schedule(
        everywhere={item.id: 0.5 for item in items},
        nodes={node: NodeSettings(3.0, dict.fromkeys(FACETS, 1.0), form) for node in nodes},
    )


def compile_record(tasks: Sequence[fp.Task]) -> CompileRecord:
    """A record as a compile leaves it, with made-up scores."""
    half, better = Score(0.5, 0.05, 40), Score(0.75, 0.04, 40)
    return CompileRecord(
        tasks={
            task.name: TaskRecord(
                confirmation=Comparison(half, better, 0.25, 0.06),
                test=Comparison(half, better, 0.25, 1 / 3),
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
        models={},
        versions={"fusionprog": "0"},
        fingerprint="f" * 32,
    )


def assemble_program(
    program: fp.Program | fp.ProgramGraph,
    tasks: Sequence[fp.Task],
    items: Sequence[Item] = (),
    *,
    schedule: Schedule | None = None,
    model: Any = None,
    form: Format = "chat",
) -> CompiledProgram:
    """A compiled program as ``compile`` puts it together, without a search."""
    graph = program_graph(program)
    asking = [name for name, node in graph.nodes.items() if node.asks_model]
    schedule = schedule or open_schedule(asking, items, form)
    by_id = {item.id: item for item in items}
    embedder = HashedNgrams(32)
    vectors = embedder.embed_texts([f"{task.description} {task.domain}" for task in tasks])
    basis = Basis.fit(vectors)
    renderer = Renderer(by_id)
    made = {}
    for task, vector in zip(tasks, vectors, strict=True):
        bound = bind(graph, task)
        offered = offers(items, task, bound, asking, {}, 0)
        view = TaskView(task.name, task.domain, bound, basis.coordinates(np.asarray(vector)), offered)
        made[task.name] = CompiledTask(
            view, task.description, renderer.mixtures(schedule, view), as_metric(task.metric)
        )
    return CompiledProgram(
        graph=graph,
        items=by_id,
        schedule=schedule,
        tasks=made,
        embedder=embedder.identity,
        basis=basis,
        record=compile_record(tasks),
        models=dict.fromkeys(asking, model or OfflineModel()),
    )


def write_artifact(path: Path, data: dict[str, Any]) -> Path:
    """Writes an artifact's data with a hash that fits, as someone would who wants it to be believed."""
    path.write_text(to_text({**data, "hash": content_hash(data)}), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def assemble() -> Callable[..., CompiledProgram]:
    """Puts a compiled program together without a search."""
    return assemble_program


@pytest.fixture(scope="session")
def write() -> Callable[[Path, dict[str, Any]], Path]:
    """Writes an artifact's data with a hash that fits."""
    return write_artifact


@pytest.fixture(scope="session")
def everything() -> Iterator[ModuleType]:
    """The module with the program that has all that an artifact must hold."""
    spec = importlib.util.spec_from_file_location("everything_program", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["everything_program"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["everything_program"]


@pytest.fixture(scope="session")
def compiled(everything: ModuleType) -> CompiledProgram:
    """That program, compiled."""
    return fp.compile(
        everything.program(),
        everything.tasks(),
        pool=everything.pool(),
        lm="offline",
        sampler="tpe",
        trials=2,
        budget=fp.Budget(calls=500),
        progress=False,
    )


@pytest.fixture(scope="session")
def artifact(compiled: CompiledProgram, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its artifact; not to be written to."""
    path = tmp_path_factory.mktemp("everything") / "everything.json"
    compiled.save(path)
    path.chmod(0o444)
    return path


@pytest.fixture(scope="session")
def fresh_data(artifact: Path) -> Callable[[], dict[str, Any]]:
    """Reads the artifact's data anew, for a test to change."""
    text = artifact.read_text(encoding="utf-8")

    def fresh() -> dict[str, Any]:
        made: dict[str, Any] = json.loads(text)
        return made

    return fresh


@pytest.fixture
def data(fresh_data: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The artifact's data, for a test to change."""
    return fresh_data()
