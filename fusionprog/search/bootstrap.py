"""Runs the program as written on training rows, for families that show its successes."""

from __future__ import annotations

from fusionprog._internal.together import together
from fusionprog.evaluation.evaluator import Evaluator, TaskScorer
from fusionprog.program.graph import Constant, FieldRef
from fusionprog.prompts.items import Demo
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Trace
from fusionprog.runtime.render import Renderer
from fusionprog.search.bench import Bench, block, labelled
from fusionprog.search.preflight import Job

RIGHT = 1.0


async def bootstrap_traces(job: Job, bench: Bench, evaluator: Evaluator) -> dict[str, dict[str, list[Demo]]]:
    """Returns task → node → inputs and outputs of runs that the metric gave full marks.

    Args:
        job: The compile.
        bench: Measures the tasks with nothing on offer, as far as the budget goes.
        evaluator: The bench's own; it has the runs.
    """
    train = {name: labelled(job.metrics[name], task.rows["train"]) for name, task in job.tasks.items()}
    rows = block(train, 0, job.plan.bootstrap)
    (outcomes,) = await bench.measure_all([Schedule()], rows)
    traces: dict[str, dict[str, list[Demo]]] = {}
    for name in bench.scorers:
        scorer = bench.scorer(Schedule(), name)
        prompts = Renderer({}).prompts(Schedule(), scorer.view, scorer.asking)
        good = [row for row, outcome in zip(rows[name], outcomes[name], strict=False) if outcome.score >= RIGHT]
        runs = await together(evaluator.trace(scorer, prompts, row, scorer.nodes) for row in good)
        traces[name] = {
            node: [
                demo for run in runs if run.ran is None or node in run.ran for demo in _node_demos(scorer, node, run)
            ]
            for node in scorer.asking
        }
    return traces


def _node_demos(scorer: TaskScorer, node: str, run: Trace) -> list[Demo]:
    """What a run shows of a node: its inputs and outputs, of every different call where code called it."""
    if scorer.view.program.graph.nodes[node].called_by is not None:
        return list({repr(sorted(visit.items())): visit for visit in run.visits.get(node, ())}.values())
    sources = scorer.view.program.graph.nodes[node].sources
    inputs = {
        name: source.value if isinstance(source, Constant) else run.value(source) for name, source in sources.items()
    }
    outputs = {ref.field: value for ref, value in run.fields.items() if isinstance(ref, FieldRef) and ref.node == node}
    return [{**inputs, **outputs}]
