"""Tasks that a program was not compiled for, by their embeddings alone: no model is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.special import expit, logit

from fusionprog.builders.offers import offers
from fusionprog.errors import DataError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import as_metric
from fusionprog.evaluation.program import make_scorer
from fusionprog.program.data_checks import check_rows
from fusionprog.program.task import Task, bind
from fusionprog.prompts.items import Family, Item
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import Adapted, TaskRecord
from fusionprog.runtime.render import TaskView
from fusionprog.search.emit import compiled_tasks, task_record
from fusionprog.search.likely import likely_schedule
from fusionprog.search.sources import Expected, effects_at

_STEEPEST = 0.25  # score per unit of log odds, where it is one half
_CERTAIN = 0.03
_DOUBT = 1.28  # standard deviations that an expected gain must be above 0, where nothing was proven


@dataclass(frozen=True)
class Placed:
    """Tasks at their places in a program.

    Attributes:
        tasks: Task → its part of the program.
        records: Task → what is recorded of it.
        schedules: Task → the schedule that it follows; a task that is not named follows the program's.
    """

    tasks: Mapping[str, CompiledTask]
    records: Mapping[str, TaskRecord]
    schedules: Mapping[str, Schedule]


def zero_shot(
    program: CompiledProgram, tasks: Sequence[Task], items: Mapping[str, Item], places: Mapping[str, tuple[float, ...]]
) -> Placed:
    """Places tasks in a program: families make their texts for them, and the schedule says what of it is used.

    Where the program has no prompts of its own, since nothing could be proven in its tasks, what they have in common
    says what is likely to help; a task in which that is not much more than doubt runs as written.

    Args:
        program: The program.
        tasks: The tasks.
        items: The pool, by item id.
        places: Task → its coordinates in the program's basis.

    Raises:
        DataError: if a task has no training rows and the pool has families, or its rows do not fit the program.
        ProgramError: if a task does not fit the program's graph.
    """
    scorers: dict[str, TaskScorer] = {}
    for task in tasks:
        bound, metric = bind(program.graph, task), as_metric(task.metric)
        check_training_rows(task, items)
        if task.rows["train"]:
            check_rows(bound, task.rows["train"], f"task {task.name!r}, train", ())
        nodes = [node for node in program.models if bound.prompted(node) is not None]
        offered = offers(list(items.values()), task, bound, nodes, {}, program.record.seed)
        view = TaskView(task.name, task.domain, bound, places[task.name], offered)
        scorers[task.name] = make_scorer(view, metric, dict(program.models))
    named = {task.name: task for task in tasks}
    schedules: dict[str, Schedule] = {}
    if not any(program.schedule.of(node, "").nodes for node in program.graph.nodes):
        schedules = {name: likely_schedule(program, scorer.view) for name, scorer in scorers.items()}
    made = compiled_tasks(named, scorers, items, replace(program.schedule, by_task=schedules))
    expected = {name: expected_of(program, part) for name, part in made.items()}
    if doubtful := [name for name in schedules if expected[name].expected < _DOUBT * expected[name].se]:
        schedules |= dict.fromkeys(doubtful, Schedule())
        made = compiled_tasks(named, scorers, items, replace(program.schedule, by_task=schedules))
        expected = {name: expected_of(program, part) for name, part in made.items()}
    records = {
        name: task_record(task, scorers[name].metric, confirmation=None, test=None, adapted=expected[name])
        for name, task in named.items()
    }
    return Placed(made, records, schedules)


def check_training_rows(task: Task, items: Mapping[str, Item]) -> None:
    """Checks that there is something for families to make their texts from.

    Raises:
        DataError: if the pool has families and the task no training rows.
    """
    families = [item.id for item in items.values() if isinstance(item, Family)]
    if families and not task.rows["train"]:
        raise DataError(
            f"task {task.name!r} has no training rows",
            expected=f"rows that {', '.join(families)} are made from",
            fix="Pass train=; a few rows of each kind do",
        )


def expected_of(program: CompiledProgram, task: CompiledTask) -> Adapted:
    """Returns the gain over the program as written that a program makes one expect of a task that is placed in it.

    Effects add up as log odds, from where the program's tasks scored as written; where scores are not in [0, 1] they
    add up as they are.
    """
    gain, error = _expected_gain(program, task, effects_at(program, task.view.embedding))
    return Adapted("zero-shot", round(gain, 5) + 0.0, round(error, 5))


def _expected_gain(
    program: CompiledProgram, task: CompiledTask, effects: Mapping[str, Mapping[str, Expected]]
) -> tuple[float, float]:
    """The gain, and how well it is known."""
    found: list[Expected] = []
    together = 0.0
    for node, offered in task.view.offered.items():
        found += [effects[node][item] for item in offered if item in effects.get(node, {})]
        pairs = program.schedule.of(node, task.view.name).pairs.get(node, {})
        together += math.fsum(
            value
            for one, others in pairs.items()
            for other, value in others.items()
            if one in offered and other in offered
        )
    total = math.fsum(each.mean for each in found) + together
    error = math.sqrt(math.fsum(each.se**2 + each.own**2 for each in found))
    measured = [program.record.tasks[name].measured for name in program.tasks]
    levels = [each.before.mean for each in measured if each is not None]
    level = math.fsum(levels) / len(levels) if levels else 0.5
    if not 0.0 <= level <= 1.0:
        return total, error
    level = min(1.0 - _CERTAIN, max(_CERTAIN, level))
    after = float(expit(logit(level) + total / _STEEPEST))
    middle = (level + after) / 2
    return after - level, error * middle * (1.0 - middle) / _STEEPEST
