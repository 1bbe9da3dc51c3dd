"""Lineage: what a compiled program was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import networkx as nx

if TYPE_CHECKING:
    from fusionprog.runtime.compiled import CompiledProgram

Kind = Literal["compile", "adapt", "merge", "migrate"]
MOST_ANCESTORS = 1_000
"""Of a longer lineage, the nearest are kept."""


@dataclass(frozen=True)
class Parent:
    """A program that another was made from.

    Attributes:
        hash: Content hash of its artifact.
        program: Its graph's name.
        kind: What was done with it.
        change: In a few words, what it was taken for or what changed.
    """

    hash: str
    program: str
    kind: Kind
    change: str = ""


@dataclass(frozen=True)
class Lineage:
    """Where a program comes from; empty where it was compiled from nothing.

    Attributes:
        parents: What it was made from.
        further: Ancestor → what that one was made from; those without parents are not named.
    """

    parents: tuple[Parent, ...] = ()
    further: Mapping[str, tuple[Parent, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: Kind, made_from: Iterable[tuple[CompiledProgram, str]]) -> Lineage:
        """Returns the lineage of what is made from programs.

        Args:
            kind: What is done with them.
            made_from: Each program, with a few words on what it is taken for or what changes.
        """
        named = list(made_from)
        parents = [Parent(each.content_hash, each.graph.name, kind, change) for each, change in named]
        return joined(parents, [each.record.lineage for each, _ in named])

    def distances(self) -> dict[str, int]:
        """Returns ancestor → how many steps back it is, the nearest first."""
        steps: dict[str, int] = nx.single_source_shortest_path_length(self._graph(""), "")
        return {name: count for name, count in steps.items() if name}

    def loop(self, own: str) -> str | None:
        """Returns a program that would be its own ancestor, or ``None`` where there is none, as it should be.

        Args:
            own: The content hash of the program whose lineage it is.
        """
        graph = self._graph(own)
        if nx.is_directed_acyclic_graph(graph):
            return None
        name: str = nx.find_cycle(graph)[0][0]
        return name

    def _graph(self, own: str) -> nx.DiGraph[str]:
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node(own)
        graph.add_edges_from((own, each.hash) for each in self.parents)
        graph.add_edges_from((name, each.hash) for name, parents in self.further.items() for each in parents)
        return graph


def joined(parents: Sequence[Parent], theirs: Sequence[Lineage]) -> Lineage:
    """Returns the lineage of a program from its parents and their own lineages, in the same order."""
    unique = tuple(dict.fromkeys(parents))
    further: dict[str, tuple[Parent, ...]] = {}
    for parent, lineage in zip(parents, theirs, strict=True):
        for name, before in ((parent.hash, lineage.parents), *lineage.further.items()):
            if before:
                further.setdefault(name, before)
    whole = Lineage(unique, further)
    kept = [*whole.distances()][:MOST_ANCESTORS]
    return Lineage(unique, {name: further[name] for name in kept if name in further})


def common_ancestors(one: tuple[str, Lineage], other: tuple[str, Lineage]) -> list[str]:
    """Returns the nearest programs that two come from, or are: none of them is an ancestor of another one.

    Args:
        one: A program's content hash and lineage.
        other: Another's.

    Returns:
        Their hashes, the nearest first; more than one only where programs were merged crosswise.
    """
    (own, first), (others, second) = one, other
    left, right = {own: 0, **first.distances()}, {others: 0, **second.distances()}
    shared = sorted(left.keys() & right.keys(), key=lambda name: (left[name] + right[name], name))
    graph = nx.compose(first._graph(own), second._graph(others))
    before = {name for each in shared for name in nx.descendants(graph, each)}
    return [name for name in shared if name not in before]
