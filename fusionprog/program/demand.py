"""Which nodes run: those that what is wanted needs, where edges are guarded as far as conditions are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from fusionprog.program.calling import called_nodes
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.sources import Constant, FieldRef, Leaf, Reference, Source, followed

_MOST_CASES = 1_024  # ways that conditions may turn out which are looked at one by one


def due(
    graph: ProgramGraph,
    wanted: Iterable[Reference],
    ran: AbstractSet[str],
    fields: Mapping[FieldRef, Any],
    inputs: Mapping[str, Any],
) -> list[str]:
    """Returns the nodes that can run now and that are needed whatever is still unknown, by name.

    Run until there are none, these are the nodes whose values are demanded, and no other.

    Args:
        graph: The graph.
        wanted: What the run is for.
        ran: The nodes that have run.
        fields: What they made.
        inputs: The program's inputs.
    """

    def truth(leaf: Leaf) -> bool | None:
        if isinstance(leaf, FieldRef):
            return bool(fields[leaf]) if leaf.node in ran else None
        return bool(leaf.value if isinstance(leaf, Constant) else inputs[leaf.name])

    found, seen = [], set(ran)
    open_ = [followed(each, truth)[0] for each in wanted]
    while open_:
        leaf = open_.pop()
        if isinstance(leaf, FieldRef) and leaf.node not in seen:
            seen.add(leaf.node)
            read = [followed(source, truth)[0] for source in graph.nodes[leaf.node].sources.values()]
            missing = [each for each in read if isinstance(each, FieldRef) and each.node not in ran]
            open_ += missing
            if not missing:
                found.append(leaf.node)
    return sorted(found)


def largest_runs(graph: ProgramGraph, wanted: Iterable[Reference]) -> tuple[tuple[str, ...], ...]:
    """Returns the sets of nodes that one run may run together at most, each in order; none lies within another.

    A node is in its set as often as it may run: those that code calls, more than once.

    Conditions are taken for independent of each other, but each is either true or false wherever it is asked. Where
    there are more than 1,024 cases, all nodes are taken for one set: that is never too few.

    Args:
        graph: The graph; validated.
        wanted: What a run is for.
    """
    wanted = tuple(wanted)
    needed = graph.needed(wanted)
    runs = _runs(graph, wanted)
    if runs is None:
        return (_times(graph, needed),)
    found: list[set[str]] = []
    for nodes in runs:
        if not any(nodes <= other for other in found):
            found = [*(other for other in found if not other <= nodes), nodes]
    return tuple(_times(graph, (name for name in needed if name in nodes)) for nodes in found)


def smallest_runs(graph: ProgramGraph, wanted: Iterable[Reference]) -> tuple[frozenset[str], ...]:
    """Returns the sets of nodes that one run may run together at least; no other lies within one of them.

    What code calls is in none of them, as it may leave it uncalled. Where there are more than 1,024 cases, it is the
    one set of the nodes that always run: that is never too many.

    Args:
        graph: The graph; validated.
        wanted: What a run is for.
    """
    wanted = tuple(wanted)
    runs = _runs(graph, wanted)
    if runs is None:
        runs = [set(sure_nodes(graph, wanted))]
    found: list[frozenset[str]] = []
    for run in runs:
        nodes = frozenset(name for name in run if graph.nodes[name].called_by is None)
        if not any(other <= nodes for other in found):
            found = [*(other for other in found if not nodes <= other), nodes]
    return tuple(found)


def sure_nodes(graph: ProgramGraph, wanted: Iterable[Reference]) -> frozenset[str]:
    """Returns the nodes that run however the conditions turn out, with those that their code may call."""
    return frozenset(_reached(graph, wanted, lambda _: None)[0])


def _runs(graph: ProgramGraph, wanted: Sequence[Reference]) -> list[set[str]] | None:
    """The nodes that run, for every way in which conditions may turn out; ``None`` where there are too many ways."""
    found: list[set[str]] = []
    cases: list[dict[Leaf, bool]] = [{}]
    for _ in range(_MOST_CASES):
        if not cases:
            return found
        told = cases.pop()
        nodes, unknown = _reached(graph, wanted, told.get)
        if unknown is None:
            found.append(nodes)
        else:
            cases += [{**told, unknown: False}, {**told, unknown: True}]
    return None if cases else found


def _times(graph: ProgramGraph, nodes: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in nodes for _ in range(graph.nodes[name].calls))


def _reached(
    graph: ProgramGraph, wanted: Iterable[Reference], known: Callable[[Leaf], bool | None]
) -> tuple[set[str], Leaf | None]:
    """The nodes that run as far as is known, and the first condition on the way that is not."""
    nodes: set[str] = set()
    unknown: Leaf | None = None
    open_: list[Source] = [*wanted]

    def truth(leaf: Leaf) -> bool | None:
        open_.append(leaf)  # what is asked on the way is made, too
        return bool(leaf.value) if isinstance(leaf, Constant) else known(leaf)

    while open_:
        leaf, settled = followed(open_.pop(), truth)
        if not settled and unknown is None:
            unknown = leaf
        if isinstance(leaf, FieldRef) and leaf.node not in nodes:
            nodes.update((leaf.node, *called_nodes(graph, leaf.node)))
            open_ += graph.nodes[leaf.node].sources.values()
    return nodes, unknown
