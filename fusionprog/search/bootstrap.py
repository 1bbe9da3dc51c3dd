"""Runs the program as written on training rows, for families that show its successes."""

from __future__ import annotations

from typing import Any

from fusionprog.evaluation.evaluator import Evaluator, TaskScorer
from fusionprog.lm.budget import Ledger
from fusionprog.program.graph import Constant, FieldRef
from fusionprog.prompts.items import Demo
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Trace
from fusionprog.runtime.render import Renderer
from fusionprog.search.bench import together
from fusionprog.search.preflight import Job

RIGHT = 1.0


async def bootstrap_traces(job: Job, evaluator: Evaluator, ledger: Ledger) -> dict[str, dict[str, list[Demo]]]:
    """Returns task → node → inputs and outputs of runs that the metric gave full marks.

    The calls are booked in the ledger.
    """
    renderer = Renderer({})
    traces: dict[str, dict[str, list[Demo]]] = {}
    for name, task in job.tasks.items():
        scorer = job.bare_scorer(name)
        prompts = renderer.prompts(Schedule(), scorer.view, scorer.asking)
        gold = scorer.metric.gold
        labelled = [row for row in task.rows["train"] if all(column in row.columns for column in gold)]
        rows = labelled[: job.plan.bootstrap]
        outcomes = await together(evaluator.outcome(scorer, prompts, row) for row in rows)
        for outcome in outcomes:
            ledger.charge(outcome.calls)
        good = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome.score >= RIGHT]
        runs = await together(evaluator.trace(scorer, prompts, row, scorer.nodes) for row in good)
        traces[name] = {node: [_node_demo(scorer, node, run) for run in runs] for node in scorer.asking}
    return traces


def _node_demo(scorer: TaskScorer, node: str, run: Trace) -> dict[str, Any]:
    sources = scorer.view.program.graph.nodes[node].sources
    inputs = {
        name: source.value if isinstance(source, Constant) else run.value(source) for name, source in sources.items()
    }
    outputs = {ref.field: value for ref, value in run.fields.items() if isinstance(ref, FieldRef) and ref.node == node}
    return {**inputs, **outputs}
