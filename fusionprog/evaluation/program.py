"""Evaluates a compiled program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fusionprog._internal import sync
from fusionprog.errors import MetricError
from fusionprog.evaluation.evaluator import Evaluator, Outcome, TaskScorer
from fusionprog.evaluation.metrics import Metric, as_metric, judges_of, rebuild_metric
from fusionprog.evaluation.results import EvaluationResult
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import LanguageModel
from fusionprog.program.data import Rows, read_rows
from fusionprog.program.data_checks import check_rows
from fusionprog.program.graph import Reference
from fusionprog.program.task import TaskProgram
from fusionprog.runtime.batch import kept_in
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.executor import Executor
from fusionprog.runtime.render import TaskView
from fusionprog.store.store import Store


def make_scorer(
    view: TaskView,
    metric: Metric,
    models: dict[str, LanguageModel],
    offered: Mapping[str, Mapping[str, LanguageModel]] | None = None,
) -> TaskScorer:
    """Returns how a task is scored: only the nodes run that the metric reads.

    Args:
        view: The task.
        metric: Its metric.
        models: Node → model.
        offered: Node → name → model, where the search may choose among several.

    Raises:
        ProgramError: if the metric reads a field that no node makes.
    """
    wanted = read_fields(view.program, metric)
    return TaskScorer(
        view=view,
        metric=metric,
        wanted=wanted,
        nodes=view.program.graph.needed(wanted),
        models=models,
        judges={judge: judge.models(next(iter(models.values()), None)) for judge in judges_of(metric)},
        offered=offered or {},
    )


def read_fields(program: TaskProgram, metric: Metric) -> tuple[Reference, ...]:
    """Returns what a metric reads."""
    graph = program.graph
    names = graph.outputs if metric.fields is None else metric.fields
    return tuple(graph.resolve(name) for name in names)


def read_nodes(program: TaskProgram, metric: Metric) -> tuple[str, ...]:
    """Returns the nodes that may run for what a metric reads, in order."""
    return program.graph.needed(read_fields(program, metric))


def evaluate_program(
    compiled: CompiledProgram,
    task: str,
    data: Rows,
    metric: Any,
    storage: str | os.PathLike[str] | None = None,
) -> EvaluationResult:
    """Scores a compiled program on rows of one task; arguments as of ``CompiledProgram.evaluate``.

    Raises:
        MetricError: if the task's metric is not known and none is given.
        DataError: if the rows do not fit the program.
    """
    part = compiled.tasks[task]
    chosen = _metric_of(compiled, task, metric)
    if chosen is None:
        raise MetricError(
            f"the metric of task {task!r} is its author's own code",
            fix="Pass metric= (--metric app.py:function)",
        )
    rows = read_rows(data, f"task {task!r}, data")
    check_rows(part.view.program, rows, f"task {task!r}, data", chosen.gold)
    view = compiled.variant(task)
    scorer = make_scorer(view, chosen, compiled.models_in(task))
    prompts = {node: compiled.rendered(task, node) for node in view.prompting_nodes}

    async def all_rows(store: Store | None) -> list[Outcome]:
        evaluator = Evaluator(Executor(LMClient(store, needs_all=True)), strict=store is not None)
        return await evaluator.outcomes(scorer, prompts, rows)

    with kept_in(storage) as store:
        return EvaluationResult(task, sync.run(all_rows(store)))


def fields_scored(compiled: CompiledProgram, task: str, metric: Any) -> tuple[Reference, ...] | None:
    """Returns what a task's metric reads; ``None`` where it is its author's own code and is not given."""
    chosen = _metric_of(compiled, task, metric)
    return None if chosen is None else read_fields(compiled.tasks[task].view.program, chosen)


def _metric_of(compiled: CompiledProgram, task: str, given: Any) -> Metric | None:
    if given is not None:
        return as_metric(given)
    return compiled.tasks[task].metric or rebuild_metric(compiled.record.tasks[task].metric)
