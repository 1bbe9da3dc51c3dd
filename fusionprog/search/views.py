"""Tasks with everything on offer in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog.builders.offers import offers
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.program import make_scorer
from fusionprog.prompts.items import Demo
from fusionprog.runtime.render import TaskView
from fusionprog.search.preflight import Job


def make_scorers(job: Job, traces: Mapping[str, Mapping[str, Sequence[Demo]]]) -> dict[str, TaskScorer]:
    """Returns task → how it is scored, with the texts and demonstrations that families make for it.

    Raises:
        PoolError: if a demonstration does not fit.
    """
    scorers = {}
    for name, task in job.tasks.items():
        program = job.programs[name]
        nodes = [node for node in job.models if program.prompted(node) is not None]
        offered = offers(job.pool, task, program, nodes, traces.get(name, {}), job.seed)
        view = TaskView(name, task.domain, program, job.places.tasks[name], offered)
        scorers[name] = make_scorer(view, job.metrics[name], dict(job.models), job.offered)
    return scorers
