"""Tasks that were added later become part of a program; what the others follow is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fusionprog.prompts.items import Item
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.learned import Learned
from fusionprog.runtime.record import CompileRecord, TaskRecord


def graft(
    program: CompiledProgram,
    tasks: Mapping[str, CompiledTask],
    records: Mapping[str, TaskRecord],
    *,
    items: Mapping[str, Item],
    schedules: Mapping[str, Schedule],
    record: CompileRecord | None = None,
) -> CompiledProgram:
    """Returns a program with more tasks.

    Args:
        program: The program.
        tasks: The new tasks by name.
        records: What is recorded of them.
        items: The pool, by item id: the program's, and perhaps more.
        schedules: Task → the schedule that it follows; the program's own, where it is not named.
        record: What the search for them recorded; nothing was searched, if not given.
    """
    by_task = {**program.schedule.by_task, **schedules}
    kept = {name: each for name, each in program.tasks.items() if name not in tasks}
    before = program.record.learned
    if before is not None:  # a program of some of its tasks has what all of them showed
        before = replace(before, effects={name: each for name, each in before.effects.items() if name in kept})
    learned = _learned(before, None if record is None else record.learned)
    recorded = {**{name: program.record.tasks[name] for name in kept}, **records}
    made = replace(record or program.record, learned=learned, tasks=recorded)
    if record is not None:
        made = replace(
            made,
            improved=program.record.improved or record.improved,
            weights=program.record.weights,
            front=program.record.front,
            growth=program.record.growth,
        )
    return program.with_parts(
        items=items, schedule=replace(program.schedule, by_task=by_task), tasks={**kept, **tasks}, record=made
    )


def _learned(before: Learned | None, new: Learned | None) -> Learned | None:
    """What was learned of all tasks; what they have in common is what the first compile found."""
    if before is None or new is None:
        return before or new
    return replace(before, effects={**before.effects, **new.effects}, sources=new.sources)
