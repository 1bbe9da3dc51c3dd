"""Nodes that the code of another node calls, instead of being fed by edges."""

from __future__ import annotations

from dataclasses import replace

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError
from fusionprog.program.graph import ProgramGraph


def let_call(graph: ProgramGraph, caller: str, node: str, calls: int = 1) -> None:
    """Makes ``node`` one that the code of ``caller`` calls, with inputs that only the code knows.

    It has no sources, and nothing else reads its fields: it may run many times, or never. In the graph it has an edge
    to its caller, without fields.

    Args:
        graph: The graph that both are in.
        caller: A node whose module runs code that calls nodes.
        node: The node that is called; it asks a model.
        calls: How often at most for one call of the program, 1 or more. Budgets reserve as many calls; more are an
            error.

    Raises:
        ProgramError: if a node is unknown or of another kind, or ``calls`` is no such number.
    """
    for name in (caller, node):
        if name not in graph.nodes:
            raise ProgramError(f"there is no node {name!r}", fix=did_you_mean(name, graph.nodes))
    if not graph.nodes[caller].module.calls_nodes:
        raise ProgramError(f"node {caller!r} calls no nodes", found=type(graph.nodes[caller].module).__name__)
    if not graph.nodes[node].asks_model or graph.nodes[node].sources:
        raise ProgramError(f"code cannot call node {node!r}", expected="a node that asks a model and is not connected")
    if type(calls) is not int or calls < 1:
        raise ProgramError(
            f"the most calls of node {node!r} for one example are no number",
            expected="a whole number, 1 or more",
            found=repr(calls)[:80],
            fix=f"Pass calls={{{node!r}: 3}}, or one number for all nodes",
        )
    graph.nodes[node] = replace(graph.nodes[node], called_by=caller, calls=calls)


def called_nodes(graph: ProgramGraph, caller: str) -> tuple[str, ...]:
    """Returns the nodes that the code of a node calls, in the graph's order."""
    return tuple(name for name, node in graph.nodes.items() if node.called_by == caller)
