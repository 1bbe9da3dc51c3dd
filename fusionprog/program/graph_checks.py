"""What must hold of a program graph: sources exist, types fit, nothing is missing, no cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError
from fusionprog.program.signature import SignatureType, input_types, output_types
from fusionprog.program.sources import Constant, FieldRef, InputRef, Leaf, Source, guards, leaves, read_by
from fusionprog.program.types import checked_constant, fits, type_adapter, type_name

if TYPE_CHECKING:
    from fusionprog.program.graph import Node, ProgramGraph

Signatures = Mapping[str, SignatureType]


def check_graph(graph: ProgramGraph, signatures: Signatures, prefix: str) -> None:
    """Checks a whole graph.

    Args:
        graph: The graph.
        signatures: Node → the signature a task gives it, in place of the declared one.
        prefix: How messages begin.

    Raises:
        ProgramError: naming the first thing that is wrong.
    """
    if not graph.nodes:
        raise ProgramError(
            f"{prefix}program {graph.name!r} has no nodes", fix="Call a module in forward(), or add(...) one"
        )
    for each in graph.inputs.values():
        if each.annotation is not None:
            type_adapter(each.annotation)
    for node in graph.nodes.values():
        _check_sources(graph, node, signatures, prefix)
    check_acyclic(graph.digraph(), prefix)
    for name, source in graph.outputs.items():
        for leaf in read_by(source):
            if not _exists(graph, leaf, signatures):
                raise ProgramError(
                    f"{prefix}output {name!r} shows {str(leaf)!r}, which no node makes",
                    fix=did_you_mean(str(leaf), {*graph.inputs, *all_made(graph, signatures)}),
                )
        _check_conditions(graph, source, signatures, f"{prefix}output {name!r}")


def check_acyclic(graph: nx.DiGraph[str], prefix: str) -> None:
    """Checks that no node reads what is made of its own outputs.

    Raises:
        ProgramError: naming a cycle.
    """
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise ProgramError(
            f"{prefix}the graph has a cycle",
            found=" → ".join([*cycle, cycle[0]]),
            fix="Remove one connection",
        )


def made_by(graph: ProgramGraph, name: str, signatures: Signatures) -> dict[str, Any]:
    """Returns the fields that a node makes with their types; none if there is no such node, or code calls it."""
    node = graph.nodes.get(name)
    if node is None or node.called_by is not None:  # what is called many times, or never, has no one value
        return {}
    signature = signatures.get(name, node.signature)
    return output_types(node.module.prompted(signature) or signature)


def all_made(graph: ProgramGraph, signatures: Signatures) -> list[str]:
    """Returns every field that a node makes, as ``node.field``."""
    return [f"{node}.{name}" for node in graph.nodes for name in made_by(graph, node, signatures)]


def _exists(graph: ProgramGraph, leaf: Leaf, signatures: Signatures) -> bool:
    if isinstance(leaf, FieldRef):
        return leaf.field in made_by(graph, leaf.node, signatures)
    return isinstance(leaf, Constant) or leaf.name in graph.inputs


def _check_sources(graph: ProgramGraph, node: Node, signatures: Signatures, prefix: str) -> None:
    signature = signatures.get(node.name, node.signature)
    for name, expected in input_types(signature).items() if node.called_by is None else ():
        source = node.sources.get(name)
        if source is None:
            if signature.input_fields[name].is_required():
                raise ProgramError(
                    f"{prefix}nothing feeds {node.name}.{name}",
                    fix=f"Pass {name}= where {node.name!r} is called, or give the field a default",
                )
            continue
        where = f"{node.name}.{name}"
        for leaf in leaves(source):
            if isinstance(leaf, Constant):
                checked_constant(leaf.value, expected, f"{prefix}the constant of {where}")
                continue
            found = _type_of(graph, leaf, signatures, f"{prefix}{where}")
            if not fits(found, expected):
                raise ProgramError(
                    f"{prefix}{leaf} does not fit {where}",
                    expected=type_name(expected),
                    found=type_name(found),
                    fix="Change one of the types, or put a fusionprog.modules.Function between them",
                )
        _check_conditions(graph, source, signatures, f"{prefix}{where}")


def _check_conditions(graph: ProgramGraph, source: Source, signatures: Signatures, where: str) -> None:
    """Checks that conditions are truth values: of any other type it would be a guess which values are true."""
    for leaf in (leaf for guard in guards(source) for leaf in leaves(guard.condition)):
        found = _type_of(graph, leaf, signatures, where)
        if found in (None, Any) or not fits(found, bool):
            raise ProgramError(
                f"{where}: the condition {leaf} is no truth value",
                expected="bool",
                found=type_name(found),
                fix="Declare it as bool, or let a fusionprog.modules.Function with a bool output decide",
            )


def _type_of(graph: ProgramGraph, leaf: Leaf, signatures: Signatures, where: str) -> Any:
    if isinstance(leaf, Constant):
        return type(leaf.value)
    if isinstance(leaf, InputRef):
        return graph.inputs[leaf.name].annotation
    made = made_by(graph, leaf.node, signatures)
    if leaf.field not in made:
        raise ProgramError(
            f"{where} reads {str(leaf)!r}, which no node makes",
            fix=did_you_mean(str(leaf), all_made(graph, signatures)),
        )
    return made[leaf.field]
