"""Graphs to and from plain JSON data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fusionprog._internal.canonical import canonical_json, jsonable
from fusionprog._internal.registry import did_you_mean
from fusionprog.artifacts.schema import (
    ConstantSource,
    FieldSource,
    InputSource,
    InputSpec,
    ModuleSpec,
    NodeSpec,
    OutputSpec,
    ProgramSpec,
    SharedModuleSpec,
    SignatureSpec,
    SourceSpec,
    WhenSource,
)
from fusionprog.artifacts.signature_codec import (
    Types,
    annotation_of,
    check_unique,
    decode_signature,
    refuse_built,
    signature_spec,
    type_spec,
)
from fusionprog.artifacts.values import decode_default, encode_constant, encode_default
from fusionprog.errors import ArtifactError, FusionProgError, ProgramError
from fusionprog.modules.function import Function
from fusionprog.program.calling import let_call
from fusionprog.program.graph import (
    Constant,
    FieldRef,
    InputRef,
    Node,
    ProgramGraph,
    ProgramInput,
    Reference,
    Source,
    When,
)
from fusionprog.program.module import Module, module_registry
from fusionprog.program.signature import SignatureType
from fusionprog.program.task import TaskProgram

Functions = Mapping[str, Callable[..., Any]]


def encode_graph(graph: ProgramGraph) -> dict[str, Any]:
    """Returns a graph as JSON data.

    Raises:
        ProgramError: if a type, a default or a constant of it cannot be kept in JSON.
    """
    return graph_spec(graph).model_dump(mode="json")


def encode_signatures(program: TaskProgram) -> dict[str, Any]:
    """Returns node → signature, for the nodes whose signature a task changes."""
    return {node: spec.model_dump(mode="json") for node, spec in changed_signatures(program).items()}


def changed_signatures(program: TaskProgram) -> dict[str, SignatureSpec]:
    """Returns node → signature, for the nodes whose signature a task changes."""
    return {
        node: signature_spec(signature, node)
        for node, signature in program.signatures.items()
        if signature is not program.graph.nodes[node].signature
    }


def graph_spec(graph: ProgramGraph) -> ProgramSpec:
    """Returns a graph as the artifact holds it.

    Raises:
        ProgramError: if a type, a default or a constant of it cannot be kept in JSON.
    """
    first: dict[int, str] = {}
    nodes = []
    for name, node in graph.nodes.items():
        owner = first.setdefault(id(node.module), name)
        nodes.append(
            NodeSpec(
                name=name,
                module=_module_spec(node) if owner == name else SharedModuleSpec(same_as=owner),
                sources={
                    target: _source_spec(source, node.signature.input_fields[target].annotation, f"{name}.{target}")
                    for target, source in node.sources.items()
                },
                called_by=node.called_by,
                calls=node.calls,
            )
        )
    return ProgramSpec(
        name=graph.name,
        inputs=[_input_spec(each) for each in graph.inputs.values()],
        nodes=nodes,
        outputs=output_specs(graph.outputs),
    )


def output_specs(outputs: Mapping[str, Reference]) -> dict[str, OutputSpec]:
    """Returns outputs as the artifact holds them.

    Raises:
        ProgramError: if a constant of one cannot be kept in JSON.
    """
    return {
        name: _when_spec(source, None, f"output {name!r}") if isinstance(source, When) else str(source)
        for name, source in outputs.items()
    }


def decode_when(spec: WhenSource, where: str, graph: ProgramGraph) -> When:
    """Returns a guarded source; that the nodes it reads are there is for ``ProgramGraph.validate``.

    Raises:
        ArtifactError: if it reads an input that there is not.
        ProgramError: if it holds too many others.
    """
    condition = _source(spec.when, where, graph)
    assert not isinstance(condition, Constant)  # the schema has none there
    return When(condition, _source(spec.then, where, graph), _source(spec.otherwise, where, graph))


def decode_graph(spec: ProgramSpec, types: Types, functions: Functions) -> ProgramGraph:
    """Returns the graph of an artifact, validated.

    Raises:
        ArtifactError: if it is not sound.
    """
    graph = ProgramGraph(spec.name)
    try:
        check_unique((each.name for each in spec.inputs), "inputs of the program")
        for each in spec.inputs:
            graph.inputs[each.name] = _program_input(each, types)
        for node in spec.nodes:
            graph.add(node.name, _module(node, graph, types, functions))
        for node in spec.nodes:
            for target, source in node.sources.items():
                graph.link(_source(source, f"{node.name}.{target}", graph), node.name, target)
        for node in spec.nodes:
            if node.called_by is not None:
                let_call(graph, node.called_by, node.name, node.calls)
            elif node.calls != 1:
                raise ArtifactError(f"node {node.name!r} has a number of calls, and no code calls it")
        for name, output in spec.outputs.items():
            graph.output(name, decode_when(output, name, graph) if isinstance(output, WhenSource) else output)
        graph.validate()
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError("the graph is not sound", found=str(error).rstrip(".")) from error
    return graph


def _input_spec(each: ProgramInput) -> InputSpec:
    where = f"input {each.name}"
    return InputSpec(
        name=each.name,
        type=None if each.annotation is None else type_spec(each.annotation, where),
        default=None if each.required else encode_default(each.default, each.annotation, where),
    )


def _program_input(spec: InputSpec, types: Types) -> ProgramInput:
    where = f"input {spec.name}"
    annotation = None if spec.type is None else annotation_of(spec.type, types, where)
    default = None if spec.default is None else decode_default(spec.default, annotation, where)
    return ProgramInput(spec.name, annotation, spec.default is None, default)


def _module_spec(node: Node) -> ModuleSpec:
    module = node.module
    kind = getattr(module, "kind", "")
    if kind not in module_registry or module_registry.get(kind) is not type(module):
        raise ProgramError(
            f"the module of node {node.name!r} has no name that a saved program could know it by",
            found=type(module).__name__,
            fix=f"Write @fusionprog.modules.register_module({type(module).__name__!r}) above its class",
        )
    arguments = module.arguments()
    try:
        canonical_json(arguments)
    except (TypeError, ValueError) as error:
        raise ProgramError(
            f"the arguments of node {node.name!r} cannot be kept in JSON", found=str(error), fix="Use plain data"
        ) from error
    return ModuleSpec(name=kind, arguments=jsonable(arguments), signature=signature_spec(module.signature, node.name))


def _module(node: NodeSpec, graph: ProgramGraph, types: Types, functions: Functions) -> Module:
    spec = node.module
    if isinstance(spec, SharedModuleSpec):
        if spec.same_as not in graph.nodes:
            raise ArtifactError(f"node {node.name!r} shares the module of {spec.same_as!r}, which comes later or never")
        return graph.nodes[spec.same_as].module
    if spec.name not in module_registry:
        raise ArtifactError(
            f"node {node.name!r}: there is no module called {spec.name!r}",
            fix=f"{did_you_mean(spec.name, module_registry)}. Import the code that registers it before loading",
        )
    signature = decode_signature(spec.signature, node.name, types)
    cls: Any = module_registry.get(spec.name)
    try:
        if issubclass(cls, Function):
            return _function(cls, spec, signature, functions)
        made: Module = cls(signature, **spec.arguments)
    except Exception as error:
        refuse_built(f"the module of node {node.name!r}", error)
    return made


def _function(cls: type[Function], spec: ModuleSpec, signature: SignatureType, functions: Functions) -> Function:
    return cls(
        functions.get(str(spec.arguments.get("name"))),
        inputs={name: field.annotation for name, field in signature.input_fields.items()},
        outputs={name: field.annotation for name, field in signature.output_fields.items()},
        **spec.arguments,  # type: ignore[arg-type]
    )


def _source_spec(source: Source, annotation: Any, where: str) -> SourceSpec:
    if isinstance(source, Constant):
        return ConstantSource(constant=encode_constant(source.value, annotation, where))
    return _when_spec(source, annotation, where) if isinstance(source, When) else _ref_spec(source)


def _when_spec(source: When, annotation: Any, where: str) -> WhenSource:
    condition = source.condition
    return WhenSource(
        when=_when_spec(condition, bool, where) if isinstance(condition, When) else _ref_spec(condition),
        then=_source_spec(source.then, annotation, where),
        otherwise=_source_spec(source.otherwise, annotation, where),
    )


def _ref_spec(source: InputRef | FieldRef) -> InputSource | FieldSource:
    return InputSource(input=source.name) if isinstance(source, InputRef) else FieldSource(field=str(source))


def _source(spec: SourceSpec, where: str, graph: ProgramGraph) -> Source:
    if isinstance(spec, WhenSource):
        return decode_when(spec, where, graph)
    if isinstance(spec, ConstantSource):
        return Constant(spec.constant)
    if isinstance(spec, FieldSource):
        return FieldRef.parse(spec.field)
    if spec.input not in graph.inputs:
        raise ArtifactError(f"{where} reads the input {spec.input!r}, which there is not")
    return InputRef(spec.input)
