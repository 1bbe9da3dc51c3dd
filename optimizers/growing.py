"""All tasks of a compiled program together: with more of them, or on another model."""

from __future__ import annotations

from collections.abc import Sequence

from fusionprog.errors import BudgetError, DataError
from fusionprog.lm.resolve import LMSpec, resolve_models
from fusionprog.optimizers.search_from import How, search_from
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.task import Task
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Lineage
from fusionprog.search.graft import graft
from fusionprog.search.rebasing import rebased
from fusionprog.search.start import Start
from fusionprog.search.state import downstream_of_changes, stale_nodes
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
    before = program
    if placed.tasks:
        before = graft(program, placed.tasks, placed.records, items=how.items, schedules=placed.schedules)
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
    found, asked = (program, ()) if graph is None else rebased(program, graph, tasks)
    if lm is not None:
        found = found.with_models(resolve_models(lm, list(program.models)))
    stale = stale_nodes(program, found, asked)
    lineage = Lineage.of("adapt", [(program, f"other models or code at {', '.join(stale) or 'no node'}")])
    first: CompiledProgram | None = None
    for _ in range(_SWEEPS):
        if not stale:
            break
        held = tuple(node for node in program.models if node not in stale)
        before = found
        found = search_from(Start(program, before, held), tasks, how, models=before.models)
        stale = downstream_of_changes(before, found, stale)
        first = first or found
    return (found if first is None else _said(program, first, found)).with_lineage(lineage)


def _said(program: CompiledProgram, first: CompiledProgram, found: CompiledProgram) -> CompiledProgram:
    """What was found, with notes on what every task lost on the way and regained; how it ended stays the last note.

    Args:
        program: The program as it was.
        first: What the first search found, which measured the same prompts in the new place.
        found: What the last one found.
    """
    lines = []
    for task, record in found.record.tasks.items():
        was, moved = program.record.tasks[task].confirmation, first.record.tasks[task].replaced
        if was is None or moved is None or record.replaced is None:
            continue
        before, after = moved.before.mean, record.replaced.after.mean
        lines.append(
            f"{task}: {was.after.mean:.2f} where it was compiled, {before:.2f} here with the same prompts "
            f"({before - was.after.mean:+.2f}), {after:.2f} now ({after - before:+.2f})"
        )
    *notes, last = found.record.notes
    return found.with_notes((*notes, *lines, last)) if lines else found
