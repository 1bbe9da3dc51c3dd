"""Puts together what a compile found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metric import Metric
from fusionprog.evaluation.variants import Variants
from fusionprog.lm.budget import Ledger
from fusionprog.lm.model import LanguageModel
from fusionprog.program.task import Task
from fusionprog.prompts.items import Item
from fusionprog.prompts.mixture import Mixture
from fusionprog.prompts.schedule import MODEL, Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import Comparison, CompileRecord, TaskRecord
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.search.confirmation import Decision
from fusionprog.search.joining import joined
from fusionprog.search.learning import Learning
from fusionprog.search.preflight import Job
from fusionprog.search.provenance import data_digests, versions
from fusionprog.search.settling import Settled


@dataclass(frozen=True)
class Result:
    """What the search hands over.

    Attributes:
        decision: What is returned, and what confirmed it.
        settled: Which tasks go on with what they followed before; ``None`` where they followed nothing.
        test: Task → comparison on test, where there is one.
        costs: Task → tokens and dollars per 1,000 calls, ``before`` and ``after``.
        trials: Trials that were told.
        reason: Why the search ended.
        ledger: What was spent, without the test report.
        test_calls: Calls of the test report.
        optimizer: Name and arguments.
        fingerprint: The study's.
        learning: What was learned.
        notes: What the user should know of the search, and last why it ended as it did.
    """

    decision: Decision
    settled: Settled | None
    test: Mapping[str, Comparison]
    costs: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    trials: int
    reason: str
    ledger: Ledger
    test_calls: int
    optimizer: Mapping[str, Any]
    fingerprint: str
    learning: Learning
    notes: tuple[str, ...] = ()


def emit(job: Job, scorers: Mapping[str, TaskScorer], items: Mapping[str, Item], result: Result) -> CompiledProgram:
    """Returns the compiled program with its record."""
    schedule, settled = result.decision.schedule, result.settled
    tasks = compiled_tasks(job.tasks, scorers, items, schedule)
    gains, improved = result.decision.gains, result.decision.improved
    replaced: Mapping[str, Comparison] = {}
    if settled is not None:
        gains, replaced, improved = settled.gains, settled.replaced, improved or settled.improved
    used_at = {(name, node): mine.keys() for name, task in tasks.items() for node, mine in task.view.offered.items()}
    models = _picked_models(job, schedule)
    record = CompileRecord(
        tasks={
            name: task_record(
                task,
                job.metrics[name],
                confirmation=gains[name],
                test=result.test.get(name),
                cost=result.costs[name],
                replaced=replaced.get(name),
            )
            for name, task in job.tasks.items()
        },
        improved=improved,
        reason=result.reason,
        trials=result.trials,
        spent={"calls": result.ledger.calls, "tokens": result.ledger.tokens, "usd": round(result.ledger.usd, 6)},
        phases={**result.ledger.phases, "test": result.test_calls},
        seed=job.seed,
        optimizer=dict(result.optimizer),
        models={node: model.name for node, model in models.items()},
        versions=versions(),
        fingerprint=result.fingerprint,
        notes=(*job.notes, *result.notes),
        weights=result.decision.weights,
        refused=result.decision.refused,
        front=result.decision.front,
        learned=result.learning.learned(used_at),
        growth=None if settled is None else settled.growth,
    )
    found = CompiledProgram(
        graph=job.graph,
        items=items,
        schedule=schedule,
        tasks=tasks,
        embedder=job.embedder.identity,
        basis=job.places.basis,
        record=record,
        models=models,
        models_as_written=job.models,
    )
    return found if job.start is None else joined(found, job.start, () if settled is None else settled.kept)


def compiled_tasks(
    tasks: Mapping[str, Task], scorers: Mapping[str, TaskScorer], items: Mapping[str, Item], schedule: Schedule
) -> dict[str, CompiledTask]:
    """Returns tasks with what a schedule makes of the pool in them, and with no more of it than that uses.

    Args:
        tasks: The tasks by name.
        scorers: Task → how it is scored, with everything on offer in it.
        items: The pool, by item id.
        schedule: The schedule.
    """
    renderer, variants = Renderer(items), Variants(scorers)
    made = {}
    for name, scorer in scorers.items():
        view = scorer.view
        asked = variants.scorer(schedule, name).view.prompting_nodes
        mixtures = {
            node: mixture if node in asked else Mixture({}, {})
            for node, mixture in renderer.mixtures(schedule, view).items()
        }
        used = {
            node: {item.id: view.offered[node][item.id] for facet in mixture.facets for item in mixture.chosen(facet)}
            for node, mixture in mixtures.items()
        }
        slim = TaskView(view.name, view.domain, view.program, view.embedding, used)
        made[name] = CompiledTask(slim, tasks[name].description, mixtures, scorer.metric)
    return made


def task_record(task: Task, metric: Metric, **measured: Any) -> TaskRecord:
    """Returns what is recorded of a task: its metric and data, and what was ``measured``."""
    return TaskRecord(
        metric=metric.description,
        sizes={split: len(rows) for split, rows in task.rows.items() if rows},
        data=data_digests(task),
        **measured,
    )


def _picked_models(job: Job, schedule: Schedule) -> dict[str, LanguageModel]:
    """Node → the model that it runs on, where its task is not left as written."""
    picked = {node: settings.choices.get(MODEL, "") for node, settings in schedule.nodes.items()}
    return {node: job.offered.get(node, {}).get(picked.get(node, ""), model) for node, model in job.models.items()}
