"""Variants of a program: the graph that runs where options of its nodes' choices are picked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from fusionprog.program.choice import option_name
from fusionprog.program.graph import Constant, Node, ProgramGraph, Source
from fusionprog.program.module import Module

ARGUMENT = "arg."
"""What the choice of a constant input is called, before the input's name."""

Picks: TypeAlias = Mapping[str, Mapping[str, str]]
"""Node → choice → option; the first option where a choice is not named."""


def options_of(node: Node) -> dict[str, tuple[str, ...]]:
    """Returns what the search may choose at a node: a choice's name → its options, the first as written.

    These are the choices of its module, and ``arg.<input>`` for a constant input of which there are several.
    """
    options = dict(node.module.options())
    for name, source in node.sources.items():
        if isinstance(source, Constant) and source.others:
            options[ARGUMENT + name] = tuple(option_name(each) for each in (source.value, *source.others))
    return options


def chosen_graph(graph: ProgramGraph, picks: Picks) -> ProgramGraph:
    """Returns the graph with the picked modules and constants in place, and nothing left to choose.

    A node keeps only the sources that its module reads, so that what makes the others is not needed for it.
    """
    made = ProgramGraph(graph.name)
    made.inputs, made.guarded = graph.inputs, graph.guarded
    made.nodes = {name: _chosen_node(node, picks.get(name, {})) for name, node in graph.nodes.items()}
    for name, ref in graph.outputs.items():
        made.link_output(name, ref)
    return made


def picks_that_matter(graph: ProgramGraph, picks: Picks) -> dict[str, dict[str, str]]:
    """Returns the picks by which a graph differs from the one as written, in a fixed order.

    Left out are first options, and those without effect: of a module or an input that another pick takes out.
    """
    found: dict[str, dict[str, str]] = {}
    for name in sorted(picks.keys() & graph.nodes.keys()):
        node, mine = graph.nodes[name], picks[name]
        module = node.module.chosen(mine)
        read = module.reads(node.signature)
        others = {
            choice: mine[choice]
            for choice, options in options_of(node).items()
            if mine.get(choice, options[0]) != options[0] and _has_effect(node, mine, choice, options[0], module, read)
        }
        if others:
            found[name] = others
    return found


def _has_effect(
    node: Node, picks: Mapping[str, str], choice: str, first: str, module: Module, read: frozenset[str]
) -> bool:
    if choice.startswith(ARGUMENT):
        return choice.removeprefix(ARGUMENT) in read
    return node.module.chosen({**picks, choice: first}) is not module


def _chosen_node(node: Node, picks: Mapping[str, str]) -> Node:
    module = node.module.chosen(picks)
    read = module.reads(node.signature)
    sources = {
        name: _chosen_source(source, picks.get(ARGUMENT + name))
        for name, source in node.sources.items()
        if name in read
    }
    return replace(node, module=module, sources=sources)


def _chosen_source(source: Source, option: str | None) -> Source:
    if not isinstance(source, Constant):
        return source
    values = (source.value, *source.others)
    return Constant(next((each for each in values if option_name(each) == option), source.value))
