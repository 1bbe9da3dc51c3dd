"""Graphs and signatures to and from plain JSON data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.schema import FieldSpec, InputSpec, ModuleSpec, NodeSpec, ProgramSpec, SignatureSpec
from fusionprog.artifacts.types import decode_type, encode_type
from fusionprog.errors import ArtifactError, FusionProgError
from fusionprog.modules.function import Function
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, ProgramInput, Source
from fusionprog.program.module import Module, module_registry
from fusionprog.program.signature import InputField, OutputField, SignatureType, field_description, make_signature
from fusionprog.program.task import TaskProgram

Types = Mapping[str, type]
Functions = Mapping[str, Callable[..., Any]]


def encode_graph(graph: ProgramGraph) -> dict[str, Any]:
    """Returns a graph as JSON data.

    Raises:
        ProgramError: if a type or a default of it cannot be kept in JSON.
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
    """Returns a graph as the artifact holds it."""
    first: dict[int, str] = {}
    nodes = []
    for name, node in graph.nodes.items():
        shared = first.setdefault(id(node.module), name)
        module = ModuleSpec(
            name=node.module.kind, arguments=node.module.arguments(), same_as=shared if shared != name else None
        )
        nodes.append(
            NodeSpec(
                name=name,
                module=module,
                signature=signature_spec(node.signature, name),
                sources={target: _source_spec(source) for target, source in node.sources.items()},
            )
        )
    inputs = [
        InputSpec(
            name=each.name,
            type=None if each.annotation is None else encode_type(each.annotation, where=f"input {each.name}"),
            default=[] if each.required else [jsonable(each.default)],
        )
        for each in graph.inputs.values()
    ]
    outputs = {name: str(ref) for name, ref in graph.outputs.items()}
    return ProgramSpec(name=graph.name, inputs=inputs, nodes=nodes, outputs=outputs)


def decode_graph(spec: ProgramSpec, types: Types, functions: Functions) -> ProgramGraph:
    """Returns the graph of an artifact, validated.

    Raises:
        ArtifactError: if it is not sound.
    """
    graph = ProgramGraph(spec.name)
    try:
        for each in spec.inputs:
            annotation = None if each.type is None else decode_type(each.type, types=types, where=f"input {each.name}")
            default = _typed(each.default[0], annotation) if each.default else None
            graph.inputs[each.name] = ProgramInput(each.name, annotation, not each.default, default)
        modules: dict[str, Module] = {}
        for node in spec.nodes:
            shared = node.module.same_as
            if shared is not None and shared not in modules:
                raise ArtifactError(f"node {node.name!r} shares the module of {shared!r}, which comes later or never")
            made = modules[shared] if shared is not None else _module(node, types, functions)
            modules[node.name] = made
            graph.add(node.name, made)
        for node in spec.nodes:
            for target, source in node.sources.items():
                graph.link(_source(source, f"{node.name}.{target}"), node.name, target)
        for name, target in spec.outputs.items():
            graph.output(name, target)
        graph.validate()
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError("the artifact's graph is not sound", found=str(error)) from error
    return graph


def signature_spec(signature: SignatureType, node: str) -> SignatureSpec:
    """Returns a signature as the artifact holds it."""
    return SignatureSpec(
        name=signature.__name__,
        instructions=signature.instructions.splitlines(),
        inputs=[_field_spec(name, field, node) for name, field in signature.input_fields.items()],
        outputs=[_field_spec(name, field, node) for name, field in signature.output_fields.items()],
    )


def decode_signature(spec: SignatureSpec, node: str, types: Types) -> SignatureType:
    """Returns the signature that a spec describes."""
    fields: dict[str, Any] = {}
    for make, specs in ((InputField, spec.inputs), (OutputField, spec.outputs)):
        for each in specs:
            annotation = Any if each.type is None else decode_type(each.type, types=types, where=f"{node}.{each.name}")
            more: dict[str, Any] = {"default": _typed(each.default[0], annotation)} if each.default else {}
            if each.description:
                more["desc"] = "\n".join(each.description)
            field = make(**more)
            if each.constraints:
                field.json_schema_extra["constraints"] = each.constraints
            fields[each.name] = (annotation, field)
    made: SignatureType = make_signature(fields, "\n".join(spec.instructions), spec.name)
    return made


def _field_spec(name: str, field: Any, node: str) -> FieldSpec:
    default: list[JsonValue] = []
    if not field.is_required():
        default = [jsonable(field.get_default(call_default_factory=True))]
    return FieldSpec(
        name=name,
        type=encode_type(field.annotation, where=f"{node}.{name}"),
        description=field_description(field).splitlines(),
        constraints=str((field.json_schema_extra or {}).get("constraints", "")),
        default=default,
    )


def _module(node: NodeSpec, types: Types, functions: Functions) -> Module:
    signature = decode_signature(node.signature, node.name, types)
    cls: Any = module_registry.get(node.module.name)
    try:
        if cls is Function:
            return _function(node, signature, functions)
        made: Module = cls(signature, **node.module.arguments)
    except TypeError as error:
        raise ArtifactError(f"node {node.name!r}: the module's arguments do not fit", found=str(error)) from error
    return made


def _function(node: NodeSpec, signature: SignatureType, functions: Functions) -> Function:
    arguments = dict(node.module.arguments)
    return Function(
        functions.get(str(arguments.get("name"))),
        inputs={name: field.annotation for name, field in signature.input_fields.items()},
        outputs={name: field.annotation for name, field in signature.output_fields.items()},
        **arguments,  # type: ignore[arg-type]
    )


def _source_spec(source: Source) -> dict[Any, JsonValue]:
    if isinstance(source, Constant):
        return {"constant": jsonable(source.value)}
    return {"input" if isinstance(source, InputRef) else "field": str(source)}


def _source(spec: Mapping[Any, JsonValue], where: str) -> Source:
    if len(spec) == 1:
        ((kind, value),) = spec.items()
        if kind == "constant":
            return Constant(value)
        if isinstance(value, str):
            return InputRef(value) if kind == "input" else FieldRef.parse(value)
    raise ArtifactError(f"{where} has no sound source", expected="one of input, field, constant", found=repr(spec))


def _typed(value: JsonValue, annotation: Any) -> Any:
    if annotation is None or value is None:
        return value
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise ArtifactError("a default does not have its field's type", found=repr(value)) from error
