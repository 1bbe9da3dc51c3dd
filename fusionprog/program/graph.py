"""The program graph: nodes, the sources of their inputs, and what must hold of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError
from fusionprog.program.graph_checks import all_made, check_acyclic, check_graph, made_by
from fusionprog.program.module import Module
from fusionprog.program.signature import SignatureType
from fusionprog.program.sources import (
    Constant,
    FieldRef,
    InputRef,
    Reference,
    Source,
    When,
    first_condition,
    guards,
    leaves,
    read_by,
    with_typed_constants,
)

__all__ = ["Constant", "FieldRef", "InputRef", "Node", "ProgramGraph", "ProgramInput", "Reference", "Source", "When"]

_NODE_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)


@dataclass(frozen=True)
class ProgramInput:
    """An input of the program.

    Attributes:
        annotation: Its type; ``None`` where unknown.
        required: Whether a call must give it.
        default: Its value where a call does not.
    """

    name: str
    annotation: Any = None
    required: bool = True
    default: Any = None


@dataclass(frozen=True)
class Node:
    """One call site of a module.

    Attributes:
        name: Its path (``triage``, ``panel.judge``).
        module: The module it calls; two nodes may share one.
        sources: Input field → where its value comes from. Fields left out take their declared default.
        called_by: The node whose code calls this one; ``None`` where the graph says when it runs (see ``let_call``).
        calls: How often it runs at most for one call of the program.
    """

    name: str
    module: Module
    sources: Mapping[str, Source] = field(default_factory=dict)
    called_by: str | None = None
    calls: int = 1

    @property
    def signature(self) -> SignatureType:
        """The signature as the program declares it; a task may specialise it."""
        return self.module.signature

    @property
    def asks_model(self) -> bool:
        """Whether running this node calls a language model."""
        return self.module.prompted(self.signature) is not None


class ProgramGraph:
    """A typed, acyclic graph of nodes.

    ``Program`` makes one by tracing ``forward``; it can also be written by hand::

        graph = fp.ProgramGraph("SupportDesk")
        graph.add("triage", fp.modules.Predict(Triage))
        graph.add("answer", fp.modules.ChainOfThought(Reply))
        graph.connect("message", "triage.message")       # a source without a dot is an input of the program
        graph.connect("message", "answer.message")
        graph.connect("triage.team", "answer.team")
        graph.output("reply", "answer.reply")

    Without ``output`` the fields of the nodes that feed no other node are the outputs.

    Attributes:
        name: The program's name.
        inputs: Input name → what it is.
        nodes: Node name → node.
        guarded: Whether a source of a node or an output is guarded, so that not every node runs in every call.
    """

    def __init__(self, name: str = "Program", inputs: Mapping[str, Any] | None = None) -> None:
        """Starts an empty graph.

        Args:
            name: The program's name.
            inputs: Input name → type; inputs that ``connect`` mentions need not be listed.
        """
        self.name = name
        self.inputs: dict[str, ProgramInput] = {
            key: ProgramInput(key, annotation) for key, annotation in (inputs or {}).items()
        }
        self.nodes: dict[str, Node] = {}
        self.guarded = False
        self._outputs: dict[str, Reference] = {}

    def add(self, name: str, module: Module, **constants: Any) -> str:
        """Adds a node and returns its name.

        Args:
            name: Letters, digits and underscores; dots make a path.
            module: The module that the node calls.
            constants: Input fields that always have the same value.

        Raises:
            ProgramError: if the name is taken or not usable, or ``module`` is none.
        """
        if not isinstance(module, Module):
            raise ProgramError(
                f"node {name!r} has no module",
                expected="a module of fusionprog.modules",
                found=repr(module)[:80],
                fix="Pass one, e.g. fusionprog.modules.Predict(signature)",
            )
        if not isinstance(name, str) or not _NODE_NAME.fullmatch(name):
            raise ProgramError(
                f"{name!r} is no node name",
                expected="letters, digits and underscores; dots make a path",
                fix="Give the node, and the attribute or key that holds its module, such a name",
            )
        if name in self.nodes:
            raise ProgramError(f"two nodes are named {name!r}", fix="Give each node a name of its own")
        self.nodes[name] = Node(name, module)
        for key, value in constants.items():
            self.link(Constant(value), name, key)
        return name

    @staticmethod
    def when(condition: str | When, then: str | Constant | When, otherwise: str | Constant | When) -> When:
        """Returns a guarded source for ``connect`` and ``output``: one of two, decided in every call.

        What only the other one needs is not run. ``fusionprog.when`` is the same inside ``forward``.

        Args:
            condition: ``"node.field"`` or an input's name, of type ``bool``; or a guarded source of truth values.
            then: The source where it is true: as in ``connect``, or a ``Constant``.
            otherwise: The source where it is false.

        Raises:
            ProgramError: if one of them is no source.
        """
        sides = (each if isinstance(each, Constant) else _parsed(each) for each in (then, otherwise))
        return When(_parsed(condition), *sides)

    def connect(self, source: str | When, target: str) -> None:
        """Lets an input field take its value from a node's output field or an input of the program.

        Args:
            source: ``"node.field"``, or an input's name (no dot), or what ``when`` returns.
            target: ``"node.field"``.

        Raises:
            ProgramError: if the target is unknown or already connected. Sources are checked by ``validate``,
                so that nodes may be added in any order.
        """
        to = FieldRef.parse(target)
        self.link(_parsed(source), to.node, to.field)

    def link(self, source: Source, node: str, field_name: str) -> None:
        """Sets where an input field takes its value from (``connect`` with a source already read).

        A constant gets the field's type (a date given as text becomes a date).
        """
        if node not in self.nodes:
            raise ProgramError(
                f"cannot connect to '{node}.{field_name}': there is no node {node!r}",
                fix=did_you_mean(node, self.nodes),
            )
        target = self.nodes[node]
        if target.called_by is not None:
            raise ProgramError(f"cannot connect to '{node}.{field_name}': the code of {target.called_by!r} calls it")
        if field_name not in target.signature.input_fields:
            raise ProgramError(
                f"node {node!r} has no input field {field_name!r}",
                fix=did_you_mean(field_name, target.signature.input_fields),
            )
        if field_name in target.sources:
            raise ProgramError(
                f"{node}.{field_name} is connected twice",
                found=f"{target.sources[field_name]} and {source}",
                fix="Keep one of them",
            )
        annotation = target.signature.input_fields[field_name].annotation
        source = with_typed_constants(source, annotation, f"the constant of {node}.{field_name}")
        for guard in guards(source):
            self.guarded = True
            self._declare(guard.condition, bool)
        self._declare(source, annotation)
        self.nodes[node] = replace(target, sources={**target.sources, field_name: source})

    def _declare(self, source: Source, annotation: Any) -> None:
        """Makes inputs of the program that nobody has mentioned yet, of the type that is expected of them."""
        for leaf in leaves(source):
            if isinstance(leaf, InputRef) and leaf.name not in self.inputs:
                self.inputs[leaf.name] = ProgramInput(leaf.name, annotation)

    def output(self, name: str, source: str | When) -> None:
        """Makes a source, as in ``connect``, a public output called ``name``."""
        self.link_output(name, _parsed(source))

    def link_output(self, name: str, source: Reference) -> None:
        """Makes ``source`` a public output called ``name``."""
        if not isinstance(name, str) or not name or "." in name:
            raise ProgramError(f"{name!r} is no name of an output", expected="a text without dots", fix="Rename it")
        if name in self._outputs:
            raise ProgramError(f"two outputs are named {name!r}", fix="Give each output a name of its own")
        made = with_typed_constants(source, None, f"the constant of output {name!r}")
        assert not isinstance(made, Constant)
        self.guarded = self.guarded or isinstance(made, When)
        self._outputs[name] = made

    @property
    def outputs(self) -> dict[str, Reference]:
        """Public output name → the field it shows."""
        if self._outputs:
            return dict(self._outputs)
        feeding = {
            leaf.node
            for node in self.nodes.values()
            for source in node.sources.values()
            for leaf in read_by(source)
            if isinstance(leaf, FieldRef)
        }
        sinks: dict[str, Reference] = {}
        for node in self.nodes.values():
            for name in node.signature.output_fields if node.name not in feeding and not node.called_by else ():
                if name in sinks:
                    raise ProgramError(
                        f"{sinks[name]} and {node.name}.{name} would both be the output {name!r}",
                        fix=f"Name the outputs, e.g. graph.output('{name}', '{node.name}.{name}')",
                    )
                sinks[name] = FieldRef(node.name, name)
        return sinks

    def digraph(self) -> nx.DiGraph[str]:
        """Returns the nodes' names and who feeds whom.

        An edge's ``fields`` lists ``(output, input)`` pairs; ``guarded`` says whether it may be left out in a call.
        """
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.nodes)
        for node in self.nodes.values():
            for target, source in node.sources.items():
                at_once = first_condition(source)
                for leaf in dict.fromkeys(leaf for leaf in read_by(source) if isinstance(leaf, FieldRef)):
                    if not graph.has_edge(leaf.node, node.name):
                        graph.add_edge(leaf.node, node.name, fields=[], guarded=True)
                    edge = graph.edges[leaf.node, node.name]
                    edge["fields"].append((leaf.field, target))
                    edge["guarded"] = edge["guarded"] and leaf != at_once
            if node.called_by is not None:
                graph.add_edge(node.name, node.called_by, fields=[], guarded=False)
        return graph

    def order(self) -> tuple[str, ...]:
        """Returns the nodes so that each comes after those it reads; ties by name.

        Raises:
            ProgramError: if there is a cycle.
        """
        graph = self.digraph()
        check_acyclic(graph, "")
        return tuple(nx.lexicographical_topological_sort(graph))

    @property
    def guards(self) -> dict[str, When]:
        """What is decided in every call: output, or ``node.field`` of an input field → its guarded source."""
        fed = {f"{node.name}.{name}": source for node in self.nodes.values() for name, source in node.sources.items()}
        return {name: source for name, source in {**fed, **self.outputs}.items() if isinstance(source, When)}

    def needed(self, refs: Iterable[Reference]) -> tuple[str, ...]:
        """Returns the nodes that must run to make ``refs``, in order; both sides of what is guarded are among them.

        Raises:
            ProgramError: if a node of them is unknown, or there is a cycle.
        """
        graph, order = self.digraph(), self.order()
        wanted: set[str] = set()
        for leaf in (leaf for ref in refs for leaf in read_by(ref)):
            if isinstance(leaf, FieldRef):
                if leaf.node not in self.nodes:
                    raise ProgramError(f"no node makes '{leaf}'", fix=did_you_mean(leaf.node, self.nodes))
                wanted |= {leaf.node} | nx.ancestors(graph, leaf.node)
        return tuple(name for name in order if name in wanted)

    def resolve(self, name: str) -> Reference:
        """Returns the source behind a public output's name or a ``"node.field"``.

        Raises:
            ProgramError: if no node makes it.
        """
        outputs = self.outputs
        if name in outputs:
            return outputs[name]
        node, _, field_name = name.rpartition(".")
        if field_name in made_by(self, node, {}):
            return FieldRef(node, field_name)
        raise ProgramError(f"no node makes {name!r}", fix=did_you_mean(name, {*outputs, *all_made(self, {})}))

    def validate(self, signatures: Mapping[str, SignatureType] | None = None, where: str = "") -> None:
        """Checks the whole graph: sources exist, types fit, nothing is missing, no cycle.

        Args:
            signatures: Node → the signature a task gives it, in place of the declared one.
            where: What is checked, for messages (``"task 'bank'"``).

        Raises:
            ProgramError: naming the first thing that is wrong.
        """
        check_graph(self, signatures or {}, f"{where}: " if where else "")


def _parsed(source: str | When) -> Reference:
    if isinstance(source, When):
        return source
    if not isinstance(source, str) or not source:
        raise ProgramError(
            "a source has no name" if source == "" else f"{source!r} is no source",
            expected="'node.field', the name of an input, or what ProgramGraph.when(...) returns",
        )
    return FieldRef.parse(source) if "." in source else InputRef(source)
