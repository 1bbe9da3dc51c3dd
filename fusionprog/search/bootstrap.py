"""Runs the program as written on training rows, for families that show its successes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fusionprog.evaluation.evaluator import Evaluator, TaskScorer
from fusionprog.evaluation.program import make_scorer
from fusionprog.lm.budget import Ledger
from fusionprog.program.data import Row
from fusionprog.program.graph import Constant, FieldRef
from fusionprog.prompts.items import Demo
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Trace
from fusionprog.runtime.render import RenderedPrompt, Renderer
from fusionprog.search.preflight import Job

RIGHT = 1.0


async def bootstrap_traces(job: Job, evaluator: Evaluator, ledger: Ledger) -> dict[str, dict[str, list[Demo]]]:
    """Returns task → node → inputs and outputs of runs that the metric gave full marks.

    The calls are booked in the ledger.
    """
    renderer = Renderer({})
    traces: dict[str, dict[str, list[Demo]]] = {}
    for name, task in job.tasks.items():
        scorer = make_scorer(job.bare_view(name), job.metrics[name], dict(job.models))
        prompts = renderer.prompts(Schedule(), scorer.view, scorer.asking)
        gold = scorer.metric.gold
        rows = [row for row in task.rows["train"] if all(column in row.columns for column in gold)]
        runs = await asyncio.gather(
            *(_successful(evaluator, scorer, prompts, row, ledger) for row in rows[: job.plan.bootstrap])
        )
        good = [run for run in runs if run is not None]
        traces[name] = {node: [_node_demo(scorer, node, run) for run in good] for node in scorer.asking}
    return traces


async def _successful(
    evaluator: Evaluator, scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], row: Row, ledger: Ledger
) -> Trace | None:
    outcome = await evaluator.outcome(scorer, prompts, row)
    ledger.charge(outcome.calls)
    return await evaluator.trace(scorer, prompts, row, scorer.nodes) if outcome.score >= RIGHT else None


def _node_demo(scorer: TaskScorer, node: str, run: Trace) -> dict[str, Any]:
    sources = scorer.view.program.graph.nodes[node].sources
    inputs = {
        name: source.value if isinstance(source, Constant) else run.value(source) for name, source in sources.items()
    }
    outputs = {ref.field: value for ref, value in run.fields.items() if isinstance(ref, FieldRef) and ref.node == node}
    return {**inputs, **outputs}
