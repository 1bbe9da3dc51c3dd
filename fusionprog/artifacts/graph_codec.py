"""Graphs and signatures to and from plain JSON data."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from fusionprog._internal.canonical import jsonable
from fusionprog._internal.registry import did_you_mean
from fusionprog.artifacts.schema import (
    ConstantSource,
    FieldSource,
    FieldSpec,
    InputSource,
    InputSpec,
    ModuleSpec,
    NodeSpec,
    ProgramSpec,
    SharedModuleSpec,
    SignatureSpec,
    SourceSpec,
)
from fusionprog.artifacts.text import from_lines, to_lines
from fusionprog.artifacts.types import decode_type, encode_type
from fusionprog.artifacts.values import decode_default, encode_constant, encode_default
from fusionprog.errors import ArtifactError, FusionProgError, ProgramError
from fusionprog.modules.function import Function
from fusionprog.program.graph import Constant, FieldRef, InputRef, Node, ProgramGraph, ProgramInput, Source
from fusionprog.program.module import Module, module_registry
from fusionprog.program.signature import InputField, OutputField, SignatureType, make_signature
from fusionprog.program.task import TaskProgram

Types = Mapping[str, type]
Functions = Mapping[str, Callable[..., Any]]

_FACTORIES = (None, list, dict, set)


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
                sources={target: _source_spec(node, target, source) for target, source in node.sources.items()},
            )
        )
    return ProgramSpec(
        name=graph.name,
        inputs=[_input_spec(each) for each in graph.inputs.values()],
        nodes=nodes,
        outputs={name: str(ref) for name, ref in graph.outputs.items()},
    )


def signature_spec(signature: SignatureType, node: str) -> SignatureSpec:
    """Returns a signature as the artifact holds it.

    Raises:
        ProgramError: if a type or a default of it cannot be kept in JSON.
    """
    return SignatureSpec(
        name=signature.__name__,
        instructions=to_lines(signature.instructions),
        inputs=[_field_spec(name, field, node) for name, field in signature.input_fields.items()],
        outputs=[_field_spec(name, field, node) for name, field in signature.output_fields.items()],
    )


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
        for name, target in spec.outputs.items():
            graph.output(name, target)
        graph.validate()
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError("the graph is not sound", found=str(error).rstrip(".")) from error
    return graph


def decode_signature(spec: SignatureSpec, node: str, types: Types) -> SignatureType:
    """Returns the signature that a spec describes.

    Raises:
        ArtifactError: if it is not sound.
    """
    check_unique((each.name for each in (*spec.inputs, *spec.outputs)), f"fields of node {node!r}")
    fields: dict[str, Any] = {}
    for make, specs in ((InputField, spec.inputs), (OutputField, spec.outputs)):
        for each in specs:
            where = f"{node}.{each.name}"
            if not each.name.isidentifier() or each.name.startswith("_"):
                raise ArtifactError(f"{each.name!r} is no name of a field of node {node!r}")
            annotation = decode_type(each.type, types=types, where=where)
            more: dict[str, Any] = {"desc": from_lines(each.description)} if each.description else {}
            if each.default is not None:
                more["default"] = decode_default(each.default, annotation, where)
            field = make(**more)
            if each.constraints:
                field.json_schema_extra["constraints"] = each.constraints
            fields[each.name] = (annotation, field)
    text = from_lines(spec.instructions)
    try:
        with warnings.catch_warnings():
            # A field that hides one of pydantic's methods warned the user who wrote it; a reader can do nothing.
            warnings.simplefilter("ignore")
            made: SignatureType = make_signature(fields, text, spec.name)
        # DSPy writes instructions where there are none, and reads them as a docstring: what is indented below the
        # first line would lose that, unless it begins with a line break.
        made.instructions = text if inspect.cleandoc(text) == text else f"\n{text}"
    except Exception as error:
        _refuse_built(f"the signature of node {node!r}", error)
    return made


def check_unique(names: Iterable[str], what: str) -> None:
    """Checks that names are given once.

    Raises:
        ArtifactError: if not.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ArtifactError(f"two {what} are named {name!r}")
        seen.add(name)


def _input_spec(each: ProgramInput) -> InputSpec:
    where = f"input {each.name}"
    return InputSpec(
        name=each.name,
        type=None if each.annotation is None else encode_type(each.annotation, where=where),
        default=None if each.required else encode_default(each.default, each.annotation, where),
    )


def _program_input(spec: InputSpec, types: Types) -> ProgramInput:
    where = f"input {spec.name}"
    annotation = None if spec.type is None else decode_type(spec.type, types=types, where=where)
    default = None if spec.default is None else decode_default(spec.default, annotation, where)
    return ProgramInput(spec.name, annotation, spec.default is None, default)


def _field_spec(name: str, field: Any, node: str) -> FieldSpec:
    where = f"{node}.{name}"
    if field.default_factory not in _FACTORIES:
        raise ProgramError(
            f"{where}: a saved program cannot hold this default_factory",
            expected="list, dict or set",
            found=repr(field.default_factory)[:80],
            fix="Use one of these, or a default",
        )
    extra = field.json_schema_extra or {}
    description = str(extra.get("desc", ""))
    default = None
    if not field.is_required():
        default = encode_default(field.get_default(call_default_factory=True), field.annotation, where)
    return FieldSpec(
        name=name,
        type=encode_type(field.annotation, where=where),
        # DSPy's placeholder for no description, which it does not print.
        description=[] if description == f"${{{name}}}" else to_lines(description),
        constraints=str(extra.get("constraints", "")),
        default=default,
    )


def _module_spec(node: Node) -> ModuleSpec:
    module = node.module
    return ModuleSpec(
        name=module.kind,
        arguments=jsonable(module.arguments()),
        signature=signature_spec(module.signature, node.name),
    )


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
        if cls is Function:
            return _function(spec, signature, functions)
        made: Module = cls(signature, **spec.arguments)
    except Exception as error:
        _refuse_built(f"the module of node {node.name!r}", error)
    return made


def _function(spec: ModuleSpec, signature: SignatureType, functions: Functions) -> Function:
    return Function(
        functions.get(str(spec.arguments.get("name"))),
        inputs={name: field.annotation for name, field in signature.input_fields.items()},
        outputs={name: field.annotation for name, field in signature.output_fields.items()},
        **spec.arguments,  # type: ignore[arg-type]
    )


def _refuse_built(what: str, error: Exception) -> NoReturn:
    found = str(error).rstrip(".") if isinstance(error, FusionProgError) else repr(error)
    raise ArtifactError(f"{what} cannot be built", found=found) from error


def _source_spec(node: Node, target: str, source: Source) -> SourceSpec:
    if isinstance(source, InputRef):
        return InputSource(input=source.name)
    if isinstance(source, FieldRef):
        return FieldSource(field=str(source))
    annotation = node.signature.input_fields[target].annotation
    return ConstantSource(constant=encode_constant(source.value, annotation, f"{node.name}.{target}"))


def _source(spec: SourceSpec, where: str, graph: ProgramGraph) -> Source:
    if isinstance(spec, ConstantSource):
        return Constant(spec.constant)
    if isinstance(spec, FieldSource):
        return FieldRef.parse(spec.field)
    if spec.input not in graph.inputs:
        raise ArtifactError(f"{where} reads the input {spec.input!r}, which there is not")
    return InputRef(spec.input)
