"""The program graph: nodes, the sources of their inputs, and what must hold of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import networkx as nx

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError
from fusionprog.program.choice import Choice, checked_options
from fusionprog.program.module import Module
from fusionprog.program.signature import SignatureType, input_types
from fusionprog.program.types import fits, type_adapter, type_name

_NODE_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)


@dataclass(frozen=True)
class InputRef:
    """An input of the program."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FieldRef:
    """An output field of a node, written ``node.field``."""

    node: str
    field: str

    def __str__(self) -> str:
        return f"{self.node}.{self.field}"

    @classmethod
    def parse(cls, text: str) -> FieldRef:
        """Reads ``"node.field"``; the node's own name may hold dots.

        Raises:
            ProgramError: if there is no dot in it.
        """
        node, dot, name = text.rpartition(".")
        if not dot or not node or not name:
            raise ProgramError(
                f"{text!r} names no field of a node",
                expected="'node.field'",
                fix="Write the node's name, a dot and the field's name",
            )
        return cls(node, name)


@dataclass(frozen=True)
class Constant:
    """A value that is the same in every call.

    Attributes:
        value: The value.
        others: Those that the search may put in its place.
    """

    value: Any
    others: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return repr(self.value)


Source: TypeAlias = InputRef | FieldRef | Constant


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
    """

    name: str
    module: Module
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def signature(self) -> SignatureType:
        """The signature as the program declares it; a task may specialise it."""
        return self.module.signature

    @property
    def asks_model(self) -> bool:
        """Whether running this node may call a language model."""
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
        self._outputs: dict[str, InputRef | FieldRef] = {}

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

    def connect(self, source: str, target: str) -> None:
        """Lets an input field take its value from a node's output field or an input of the program.

        Args:
            source: ``"node.field"``, or an input's name (no dot).
            target: ``"node.field"``.

        Raises:
            ProgramError: if the target is unknown or already connected. Sources are checked by ``validate``,
                so that nodes may be added in any order.
        """
        to = FieldRef.parse(target)
        self.link(_parsed(source), to.node, to.field)

    def link(self, source: Source, node: str, field_name: str) -> None:
        """Sets where an input field takes its value from (``connect`` with a source already read).

        A constant gets the field's type (a date given as text becomes a date); it may be a ``fusionprog.Choice``.
        """
        if node not in self.nodes:
            raise ProgramError(
                f"cannot connect to '{node}.{field_name}': there is no node {node!r}",
                fix=did_you_mean(node, self.nodes),
            )
        target = self.nodes[node]
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
        if isinstance(source, Constant):
            value, *others = checked_options(source.value, annotation, f"the constant of {node}.{field_name}")
            source = Constant(value, tuple(others))
        if isinstance(source, InputRef) and source.name not in self.inputs:
            self.inputs[source.name] = ProgramInput(source.name, annotation)
        self.nodes[node] = replace(target, sources={**target.sources, field_name: source})

    def output(self, name: str, source: str) -> None:
        """Makes a node's field (``"node.field"``) or an input of the program a public output called ``name``."""
        self.link_output(name, _parsed(source))

    def link_output(self, name: str, source: InputRef | FieldRef) -> None:
        """Makes ``source`` a public output called ``name``."""
        if not isinstance(name, str) or not name or "." in name:
            raise ProgramError(f"{name!r} is no name of an output", expected="a text without dots", fix="Rename it")
        if name in self._outputs:
            raise ProgramError(f"two outputs are named {name!r}", fix="Give each output a name of its own")
        self._outputs[name] = source

    @property
    def outputs(self) -> dict[str, InputRef | FieldRef]:
        """Public output name → the field it shows."""
        if self._outputs:
            return dict(self._outputs)
        feeding = {
            source.node
            for node in self.nodes.values()
            for source in node.sources.values()
            if isinstance(source, FieldRef)
        }
        sinks: dict[str, InputRef | FieldRef] = {}
        for node in self.nodes.values():
            for name in node.signature.output_fields if node.name not in feeding else ():
                if name in sinks:
                    raise ProgramError(
                        f"{sinks[name]} and {node.name}.{name} would both be the output {name!r}",
                        fix=f"Name the outputs, e.g. graph.output('{name}', '{node.name}.{name}')",
                    )
                sinks[name] = FieldRef(node.name, name)
        return sinks

    def digraph(self) -> nx.DiGraph[str]:
        """Returns the nodes' names and who feeds whom; an edge's ``fields`` lists ``(output, input)`` pairs."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.nodes)
        for node in self.nodes.values():
            for target, source in node.sources.items():
                if isinstance(source, FieldRef):
                    if not graph.has_edge(source.node, node.name):
                        graph.add_edge(source.node, node.name, fields=[])
                    graph.edges[source.node, node.name]["fields"].append((source.field, target))
        return graph

    def order(self) -> tuple[str, ...]:
        """Returns the nodes so that each comes after those it reads; ties by name.

        Raises:
            ProgramError: if there is a cycle.
        """
        graph = self.digraph()
        _check_acyclic(graph, "")
        return tuple(nx.lexicographical_topological_sort(graph))

    def needed(self, refs: Iterable[InputRef | FieldRef]) -> tuple[str, ...]:
        """Returns the nodes that must run to make ``refs``, in order.

        Raises:
            ProgramError: if a node of them is unknown, or there is a cycle.
        """
        graph, order = self.digraph(), self.order()
        wanted: set[str] = set()
        for ref in refs:
            if isinstance(ref, FieldRef):
                if ref.node not in self.nodes:
                    raise ProgramError(f"no node makes '{ref}'", fix=did_you_mean(ref.node, self.nodes))
                wanted |= {ref.node} | nx.ancestors(graph, ref.node)
        return tuple(name for name in order if name in wanted)

    def resolve(self, name: str) -> InputRef | FieldRef:
        """Returns the field behind a public output's name or a ``"node.field"``.

        Raises:
            ProgramError: if no node makes it.
        """
        outputs = self.outputs
        if name in outputs:
            return outputs[name]
        node, _, field_name = name.rpartition(".")
        if field_name in self._made_by(node, {}):
            return FieldRef(node, field_name)
        raise ProgramError(
            f"no node makes {name!r}", fix=self._advice(node, field_name, {*outputs, *self._all_made({})})
        )

    def validate(self, signatures: Mapping[str, SignatureType] | None = None, where: str = "") -> None:
        """Checks the whole graph: sources exist, types fit, nothing is missing, no cycle.

        Args:
            signatures: Node → the signature a task gives it, in place of the declared one.
            where: What is checked, for messages (``"task 'bank'"``).

        Raises:
            ProgramError: naming the first thing that is wrong.
        """
        signatures = signatures or {}
        prefix = f"{where}: " if where else ""
        if not self.nodes:
            raise ProgramError(
                f"{prefix}program {self.name!r} has no nodes", fix="Call a module in forward(), or add(...) one"
            )
        for each in self.inputs.values():
            if each.annotation is not None:
                type_adapter(each.annotation)
        for node in self.nodes.values():
            self._check_sources(node, signatures, prefix)
        _check_acyclic(self.digraph(), prefix)
        for name, ref in self.outputs.items():
            known = self.inputs if isinstance(ref, InputRef) else self._made_by(ref.node, signatures)
            if (ref.name if isinstance(ref, InputRef) else ref.field) not in known:
                raise ProgramError(
                    f"{prefix}output {name!r} shows {str(ref)!r}, which no node makes",
                    fix=did_you_mean(str(ref), {*self.inputs, *self._all_made(signatures)}),
                )

    def _check_sources(self, node: Node, signatures: Mapping[str, SignatureType], prefix: str) -> None:
        signature = signatures.get(node.name, node.signature)
        fed: dict[str, Any] = {}
        for name, expected in input_types(signature).items():
            source = node.sources.get(name)
            if source is None:
                if signature.input_fields[name].is_required():
                    raise ProgramError(
                        f"{prefix}nothing feeds {node.name}.{name}",
                        fix=f"Pass {name}= where {node.name!r} is called, or give the field a default",
                    )
                continue
            where = f"{node.name}.{name}"
            if isinstance(source, Constant):
                given = Choice(source.value, *source.others) if source.others else source.value
                checked_options(given, expected, f"{prefix}the constant of {where}")
                fed[name] = type(source.value)
                continue
            found = fed[name] = self._type_of(source, signatures, f"{prefix}{where}")
            if not fits(found, expected):
                raise ProgramError(
                    f"{prefix}{source} does not fit {where}",
                    expected=type_name(expected),
                    found=type_name(found),
                    fix="Change one of the types, or put a fusionprog.modules.Function between them",
                )
        node.module.check(signature, fed, f"{prefix}node {node.name!r}")

    def _type_of(self, source: InputRef | FieldRef, signatures: Mapping[str, SignatureType], where: str) -> Any:
        if isinstance(source, InputRef):
            return self.inputs[source.name].annotation
        made = self._made_by(source.node, signatures)
        if source.field not in made:
            raise ProgramError(
                f"{where} reads {str(source)!r}, which no node makes",
                fix=self._advice(source.node, source.field, self._all_made(signatures)),
            )
        return made[source.field]

    def _all_made(self, signatures: Mapping[str, SignatureType]) -> list[str]:
        return [f"{node}.{name}" for node in self.nodes for name in self._made_by(node, signatures)]

    def _made_by(self, name: str, signatures: Mapping[str, SignatureType]) -> dict[str, Any]:
        node = self.nodes.get(name)
        if node is None:
            return {}
        signature = signatures.get(name, node.signature)
        return dict(node.module.outputs(signature))

    def _advice(self, node: str, name: str, known: Iterable[str]) -> str:
        """What to read in place of a field that no node makes, or that one only makes under some options."""
        made = self.nodes.get(node)
        withheld = made.module.withheld(made.signature) if made is not None else {}
        return withheld.get(name) or did_you_mean(f"{node}.{name}" if node else name, known)


def _parsed(source: str) -> InputRef | FieldRef:
    if "." in source:
        return FieldRef.parse(source)
    if not source:
        raise ProgramError("a source has no name", expected="'node.field', or the name of an input")
    return InputRef(source)


def _check_acyclic(graph: nx.DiGraph[str], prefix: str) -> None:
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise ProgramError(
            f"{prefix}the graph has a cycle",
            found=" → ".join([*cycle, cycle[0]]),
            fix="Remove one connection",
        )
