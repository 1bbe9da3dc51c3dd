"""What was found and what was there before become one program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusionprog.prompts.assembling import assembled, of_node, of_task
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.search.start import Start


def joined(found: CompiledProgram, start: Start, kept: Sequence[str]) -> CompiledProgram:
    """Returns what was found, with what goes on as before in it.

    Args:
        found: What was found, for the tasks of the compile.
        start: What the compile started from.
        kept: The tasks that go on with the incumbent's prompts; at the nodes that were held, all do.
    """
    before = start.incumbent
    if before is None or not (kept or start.held):
        return found
    tasks = {
        name: before.tasks[name] if name in kept else _with_held(task, before.tasks[name], start.held)
        for name, task in found.tasks.items()
    }
    held = {node: of_node(before.schedule, node) for node in start.held}
    bases = {name: of_task(before.schedule, name) if name in kept else found.schedule for name in tasks}

    def followed(node: str, task: str) -> Schedule:
        return before.schedule.of(node, task) if node in held or task in kept else found.schedule

    schedule = assembled(found.schedule, dict.fromkeys(found.graph.nodes, found.schedule) | held, bases, followed)
    goes_on_as_written = any(before.schedule.is_as_written(name) for name in kept)
    written = before.models_as_written if goes_on_as_written else found.models_as_written
    return found.with_parts(schedule=schedule, tasks=tasks, models_as_written=written, written_for=None)


def _with_held(found: CompiledTask, before: CompiledTask, held: Sequence[str]) -> CompiledTask:
    """A task with its prompts at held nodes as before."""
    nodes = [node for node in held if node in before.mixtures]
    offered = {**found.view.offered, **{node: before.view.offered[node] for node in nodes}}
    mixtures = {**found.mixtures, **{node: before.mixtures[node] for node in nodes}}
    return replace(found, view=replace(found.view, offered=offered), mixtures=mixtures)
