"""What a node's prompts depend on, and at which nodes it changed.

References:
    Prompts are chosen again for the state that they are used in, and only then (state-adaptive prompt optimisation,
    arXiv 2606.01967). Here the state of a node is what it cannot change itself: its model, its signature
    and the prompts before it.
"""

from __future__ import annotations

from collections.abc import Collection

import networkx as nx

from fusionprog.lm.model import recorded_identity
from fusionprog.program.variants import options_of
from fusionprog.runtime.compiled import CompiledProgram


def stale_nodes(before: CompiledProgram, moved: CompiledProgram, asked: Collection[str]) -> tuple[str, ...]:
    """Returns the nodes whose model or signature is another one than their prompts were chosen for, in their order.

    Where one of the nodes has anything to choose beside its prompts, these are all nodes: what runs may then change.

    Args:
        before: The program as it was compiled.
        moved: The same on other models or code.
        asked: The nodes that are asked something else.
    """
    changed = {node for node, model in moved.models.items() if recorded_identity(model) != before.compiled_for[node]}
    changed |= set(asked)
    if changed and any(options_of(node) for node in before.graph.nodes.values()):
        return tuple(before.models)
    return tuple(node for node in before.models if node in changed)


def downstream_of_changes(before: CompiledProgram, found: CompiledProgram, chosen: Collection[str]) -> tuple[str, ...]:
    """Returns the nodes that read what prompts make which changed, and that were not chosen with these.

    Args:
        before: A program.
        found: The same, with prompts that were chosen again.
        chosen: The nodes at which they were.
    """
    changed = {
        node
        for task in found.tasks
        for node in chosen
        if task in before.tasks and _prompt(before, task, node) != _prompt(found, task, node)
    }
    graph = found.graph.digraph()
    after = {later for node in changed for later in nx.descendants(graph, node)}
    return tuple(node for node in found.models if node in after and node not in chosen)


def _prompt(program: CompiledProgram, task: str, node: str) -> str | None:
    """What tells a node's prompt apart in a task; ``None`` where it asks nothing there."""
    asks = program.variant(task).program.prompted(node) is not None
    return program.rendered(task, node).id if asks else None
