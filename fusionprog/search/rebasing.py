"""A compiled program on code that has changed: its prompts where they still fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusionprog.artifacts.signature_codec import signature_spec
from fusionprog.errors import ProgramError
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.signature import SignatureType
from fusionprog.program.task import Task, bind
from fusionprog.program.variants import options_of
from fusionprog.prompts.mixture import Mixture
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask


def rebased(
    program: CompiledProgram, graph: ProgramGraph, tasks: Sequence[Task]
) -> tuple[CompiledProgram, tuple[str, ...]]:
    """Returns a program on another graph, and the nodes that are asked something else there.

    Args:
        program: The program.
        graph: The code as it is now: the same nodes, which may have other signatures and modules.
        tasks: The program's tasks as they are now.

    Raises:
        ProgramError: if nodes are new or gone, or offer other choices; or if a task does not fit.
    """
    if graph.nodes.keys() != program.graph.nodes.keys():
        new = [f"{name} is new" for name in graph.nodes if name not in program.graph.nodes]
        gone = [f"{name} is gone" for name in program.graph.nodes if name not in graph.nodes]
        raise ProgramError(
            "the code has other nodes than the program", found="; ".join([*new, *gone]), fix=_COMPILE_AGAIN
        )
    for name, each in graph.nodes.items():
        if options_of(each) != options_of(program.graph.nodes[name]):
            raise ProgramError(f"node {name!r} offers other choices than the program knows", fix=_COMPILE_AGAIN)
    made: dict[str, CompiledTask] = {}
    changed: set[str] = set()
    for task in tasks:
        bound, part = bind(graph, task), program.tasks[task.name]
        offered, mixtures = dict(part.view.offered), dict(part.mixtures)
        for node in mixtures:
            signature = bound.prompted(node)
            if _told(signature, node) == _told(part.view.program.prompted(node), node):
                continue
            changed.add(node)
            demos = [demo for content in offered[node].values() if not isinstance(content, str) for demo in content]
            if signature is None or any(not demo.keys() <= signature.fields.keys() for demo in demos):
                offered[node], mixtures[node] = {}, Mixture({}, {})
        view = replace(part.view, domain=task.domain, program=bound, offered=offered)
        made[task.name] = replace(part, view=view, description=task.description, mixtures=mixtures)
    moved = program.with_parts(graph=graph, tasks=made)
    return moved, tuple(node for node in program.models if node in changed)


_COMPILE_AGAIN = "Compile the code anew, with prior=[the program]"


def _told(signature: SignatureType | None, node: str) -> object:
    """What a model is told by a signature; ``None`` where it is asked nothing."""
    return None if signature is None else signature_spec(signature, node)
