"""An artifact beside the user's own code: does it still fit, and what the code brings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from typing import Any

from fusionprog.artifacts.graph_codec import changed_signatures, graph_spec, output_specs
from fusionprog.artifacts.program_changes import (
    Change,
    modules_of,
    output_changes,
    program_changes,
    signature_changes,
    signature_of,
)
from fusionprog.artifacts.schema import Artifact, ProgramSpec, SignatureSpec
from fusionprog.errors import ArtifactMismatchError, ProgramError
from fusionprog.modules.function import Function
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.module import Module
from fusionprog.program.task import Task, bind, check_tasks
from fusionprog.program.types import classes_in

_MOST_SAID = 20


def check_code(artifact: Artifact, graph: ProgramGraph, tasks: Sequence[Task], where: str) -> None:
    """Checks that code is that of the artifact; warns where texts in it or settings of its modules are others.

    Args:
        artifact: The artifact.
        graph: The program in the code, or the artifact's own where only tasks are compared.
        tasks: Tasks in the code; others that the artifact has may be missing.
        where: What the artifact is called in messages.

    Raises:
        ArtifactMismatchError: naming all that is different.
        ProgramError: if the program of the code cannot be kept in an artifact.
    """
    if tasks:
        check_tasks(tasks)
    current = graph_spec(graph)
    changes = program_changes(artifact.program, current)
    known = set(changes)
    for task in tasks:
        changes += _task_changes(artifact, current, graph, task, known)
    if breaking := [str(each) for each in changes if each.breaks]:
        more = len(breaking) - _MOST_SAID
        said = breaking[:_MOST_SAID] + ([f"and {more:,} more differences"] if more > 0 else [])
        raise ArtifactMismatchError(
            f"{where} was compiled from other code",
            found="; ".join(said),
            fix="Load it with the code that it was compiled from, or compile again",
            differences=tuple(breaking),
        )
    if changes:
        warnings.warn(
            f"{where} was compiled from code that said something else, and keeps what it was compiled with: "
            + "; ".join(str(each) for each in changes[:_MOST_SAID]),
            stacklevel=3,
        )


def classes_of_graph(graph: ProgramGraph) -> dict[str, type]:
    """Returns the user's own classes in a program, by name; none of a name that two of them have."""
    annotations = [each.annotation for each in graph.inputs.values()]
    for node in graph.nodes.values():
        annotations += [field.annotation for field in node.signature.fields.values()]
    found: dict[str, type] = {}
    twice = set()
    for kind in classes_in(annotations):
        if found.setdefault(kind.__name__, kind) is not kind:
            twice.add(kind.__name__)
    return {name: kind for name, kind in found.items() if name not in twice and kind.__module__ != "builtins"}


def functions_of_graph(graph: ProgramGraph) -> dict[str, Callable[..., Any]]:
    """Returns what the program's Function nodes call, by name."""
    modules = [part for node in graph.nodes.values() for part in _with_parts(node.module)]
    return {each.name: each.function for each in modules if isinstance(each, Function) and each.function is not None}


def _task_changes(
    artifact: Artifact, current: ProgramSpec, graph: ProgramGraph, task: Task, known: Set[Change]
) -> Iterator[Change]:
    """Yields what differs in a task, beyond what differs in the program."""
    place = f"task {task.name}"
    recorded = artifact.tasks.get(task.name)
    if recorded is None:
        yield Change(place, "is new")
        return
    try:
        bound = bind(graph, task)
    except ProgramError as error:
        yield Change(place, f"does not fit the program: {str(error).rstrip('.')}")
        return
    before = {**_signatures(artifact.program), **recorded.signatures}
    after = {**_signatures(current), **changed_signatures(bound)}
    changes = [
        change for node in before if node in after for change in signature_changes(node, before[node], after[node])
    ]
    for change in (*changes, *output_changes(recorded.outputs, output_specs(bound.outputs))):
        if change not in known:
            yield replace(change, place=f"{place}, {change.place}")


def _signatures(program: ProgramSpec) -> dict[str, SignatureSpec]:
    return {node: signature_of(module) for node, module in modules_of(program).items()}


def _with_parts(module: Module) -> Iterator[Module]:
    yield module
    for part in module.parts():
        yield from _with_parts(part)
