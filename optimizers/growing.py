"""All tasks of a compiled program together: with more of them, or on another model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from fusionprog.errors import BudgetError, DataError
from fusionprog.evaluation.metrics import as_metric
from fusionprog.evaluation.program import read_nodes
from fusionprog.lm.resolve import LMSpec, resolve_models
from fusionprog.optimizers.search_from import How, search_from
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.task import Task, bind
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Lineage
from fusionprog.runtime.record import CompileRecord
from fusionprog.search.graft import graft
from fusionprog.search.rebasing import rebased
from fusionprog.search.start import Start
from fusionprog.search.state import downstream_of_changes, stale_nodes
from fusionprog.search.sweeps import budget_left, in_sequence
from fusionprog.search.zero_shot import Placed

_SWEEPS = 3  # times that prompts are chosen again at most, since those before them changed


def check_whole(program: CompiledProgram, tasks: Sequence[Task], *, asks: bool) -> None:
    """Checks that all tasks are there which may change, and that something may be asked.

    Raises:
        BudgetError: if nothing may be asked.
        DataError: if a task of the program is missing.
    """
    if not asks:
        raise BudgetError("trials=0 changes nothing in tasks that the program has", fix="Pass budget= or trials=")
    missing = [name for name in program.tasks if name not in {task.name for task in tasks}]
    if missing:
        raise DataError(
            f"the data of {', '.join(map(repr, missing))} is missing",
            expected="all tasks that the program has, as they may change",
            fix="Pass them, too, or leave joint= and lm= out",
        )


def grow(
    program: CompiledProgram, tasks: Sequence[Task], placed: Placed, how: How, *, tolerance: float
) -> CompiledProgram:
    """Returns a program whose tasks were all compiled together, new ones among them.

    Args:
        program: The program.
        tasks: All tasks.
        placed: The new ones at their places: what they follow before.
        how: How the search is run.
        tolerance: How much lower the measured score of a task may be than before.
    """
    before, _ = rebased(program, program.graph, [task for task in tasks if task.name in program.tasks])
    if placed.tasks:
        before = graft(before, placed.tasks, placed.records, items=how.items, schedules=placed.schedules)
    start = Start(program, before, tolerance=tolerance)
    found = search_from(start, tasks, how, models=program.models)
    added = f": {', '.join(placed.tasks)}" if placed.tasks else ""
    return found.with_lineage(Lineage.of("adapt", [(program, f"all tasks together{added}")]))


def port(
    program: CompiledProgram, tasks: Sequence[Task], how: How, *, lm: LMSpec, graph: ProgramGraph | None
) -> CompiledProgram:
    """Returns a program on other models or code, with prompts chosen again where what they depend on changed.

    Args:
        program: The program.
        tasks: Its tasks.
        how: How each search is run.
        lm: The models; those that it has, if ``None``.
        graph: The code as it is now; that which it was compiled from, if ``None``.
    """
    found, asked = rebased(program, program.graph if graph is None else graph, tasks)
    if lm is not None:
        found = found.with_models(resolve_models(lm, list(program.models)))
    stale = stale_nodes(program, found, asked)
    lineage = Lineage.of("adapt", [(program, f"other models or code at {', '.join(stale) or 'no node'}")])
    searched = {node for task in tasks for node in _read(found, task)}
    stale = tuple(node for node in stale if node in searched)
    begun, notes = time.monotonic(), list[str]()
    record: CompileRecord | None = None
    for _ in range(_SWEEPS):
        if not stale:
            break
        held = tuple(node for node in program.models if node not in stale)
        before = found
        try:
            left = how.budget if record is None else budget_left(how.budget, record.spent, time.monotonic() - begun)
            found = search_from(Start(program, before, held), tasks, replace(how, budget=left), models=before.models)
        except BudgetError as error:
            if record is None:
                raise
            notes = [f"prompts at {', '.join(stale)} stay, though those before them changed: {error.problem}"]
            break
        record = found.record if record is None else in_sequence(record, found.record)
        stale = tuple(node for node in downstream_of_changes(before, found, stale) if node in searched)
    if record is not None:
        *earlier, last = record.notes
        found = found.with_record(replace(record, notes=(*earlier, *notes, *_lost_and_regained(program, record), last)))
    return found.with_lineage(lineage)


def _lost_and_regained(program: CompiledProgram, record: CompileRecord) -> list[str]:
    """What every task lost on the way and regained, line by line."""
    lines = []
    for task, each in record.tasks.items():
        was = program.record.tasks[task].confirmation
        if was is None or each.replaced is None:
            continue
        before, after = each.replaced.before.mean, each.replaced.after.mean
        lines.append(
            f"{task}: {was.after.mean:.2f} where it was compiled, {before:.2f} here with the same prompts "
            f"({before - was.after.mean:+.2f}), {after:.2f} now ({after - before:+.2f})"
        )
    return lines


def _read(program: CompiledProgram, task: Task) -> list[str]:
    """The nodes whose prompts a task's metric can tell apart: at the others nothing is ever chosen."""
    bound = bind(program.graph, task)
    return [node for node in read_nodes(bound, as_metric(task.metric)) if bound.prompted(node) is not None]
