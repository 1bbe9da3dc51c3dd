"""Compiled programs to and from artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import JsonValue, ValidationError

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.graph_codec import (
    Functions,
    Types,
    changed_signatures,
    decode_graph,
    decode_signature,
    graph_spec,
)
from fusionprog.artifacts.pool_codec import decode_pool, encode_pool
from fusionprog.artifacts.record_codec import compile_spec, decode_record, score_spec
from fusionprog.artifacts.recorded_models import decode_models
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schedule_codec import decode_mixture, decode_schedule, mixture_spec, schedule_spec
from fusionprog.artifacts.schema import (
    SCHEMA_NAME,
    SCHEMA_VERSION,
    Artifact,
    EmbeddingSpec,
    ModuleSpec,
    SignatureSpec,
    TaskSpec,
)
from fusionprog.artifacts.text import from_lines, to_lines
from fusionprog.artifacts.values import encode_demo
from fusionprog.errors import ArtifactError, FusionProgError
from fusionprog.program.graph import FieldRef, InputRef, ProgramGraph
from fusionprog.program.task import TaskProgram
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import Content, Item, check_text
from fusionprog.prompts.mixture import Mixture, Weighted
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import TaskRecord
from fusionprog.runtime.render import TaskView

_TASK_NAME = re.compile(r"\w[\w.-]*")  # as fusionprog.Task has it
_MAX_SIGNATURES = 20_000
_MAX_FIELDS = 200_000

Contents = dict[str, dict[str, Content]]


def encode_program(program: CompiledProgram) -> dict[str, Any]:
    """Returns a compiled program as the artifact's JSON data, with an empty hash.

    Raises:
        ProgramError: if a type or a value of its graph cannot be kept in JSON.
        ArtifactError: if something else in it cannot.
    """
    record = program.record
    try:
        artifact = Artifact.model_validate(
            {
                "$schema": SCHEMA_NAME,
                "schema_version": SCHEMA_VERSION,
                "program": graph_spec(program.graph),
                "lm": {node: dict(identity) for node, identity in program.compiled_for.items()},
                "pool": encode_pool(list(program.items.values())),
                "tasks": {name: _task_spec(task, record.tasks[name]) for name, task in program.tasks.items()},
                "compile": compile_spec(record),
                "mixtures": {
                    name: {node: mixture_spec(mixture) for node, mixture in task.mixtures.items()}
                    for name, task in program.tasks.items()
                },
                "schedule": schedule_spec(program.schedule, program.tasks),
                "scores": {name: score_spec(record.tasks[name]) for name in program.tasks},
                "embedding": {
                    "embedder": jsonable(program.embedder),
                    "tasks": {name: rounded(task.view.embedding) for name, task in program.tasks.items()},
                    "scale": rounded(program.basis.scale.tolist()),
                    "centre": rounded(program.basis.centre.tolist()),
                    "components": rounded(program.basis.components.tolist()),
                },
                "hash": "",
            }
        )
    except ValidationError as error:
        raise ArtifactError("the program cannot be kept in a file", found=first_problem(error)) from error
    return artifact.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def decode_program(artifact: Artifact, types: Types, functions: Functions) -> CompiledProgram:
    """Returns the compiled program of an artifact, on the models that it was compiled for.

    Args:
        artifact: The artifact.
        types: The user's own classes by name.
        functions: What Function nodes call, by name.

    Raises:
        ArtifactError: if the artifact does not fit together.
    """
    _check_sizes(artifact)
    graph = decode_graph(artifact.program, types, functions)
    asking = [name for name, node in graph.nodes.items() if node.asks_model]
    _check_names("models", artifact.lm, asking, "nodes")
    for part in ("mixtures", "scores"):
        _check_names(part, getattr(artifact, part), artifact.tasks, "tasks")
    _check_names("embeddings", artifact.embedding.tasks, artifact.tasks, "tasks")
    for name, mixtures in artifact.mixtures.items():
        _check_names(f"mixtures of task {name!r}", mixtures, asking, "nodes")
    pool = decode_pool(artifact.pool)
    items = {item.id: item for item in pool}
    try:
        pool.validate(graph.nodes, [spec.domain for spec in artifact.tasks.values()])
    except FusionProgError as error:
        raise ArtifactError("the pool does not fit the program", found=str(error).rstrip(".")) from error
    basis = _basis(artifact.embedding)
    return CompiledProgram(
        graph=graph,
        items=items,
        schedule=decode_schedule(
            artifact.schedule, nodes=asking, items=items, tasks=artifact.tasks, components=basis.size
        ),
        tasks={name: _task(name, artifact, graph, items, types) for name in artifact.tasks},
        embedder=artifact.embedding.embedder,
        basis=basis,
        record=decode_record(artifact),
        models=decode_models(artifact.lm),
        compiled_for=artifact.lm,
    )


def first_problem(error: ValidationError) -> str:
    """Returns where the first thing is that a schema refuses, and why."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{first['msg']} ({first['type']}) at {place!r}"


def _task_spec(task: CompiledTask, record: TaskRecord) -> TaskSpec:
    program = task.view.program
    texts: dict[str, dict[str, list[str]]] = {}
    demos: dict[str, dict[str, list[dict[str, JsonValue]]]] = {}
    for node, mixture in task.mixtures.items():
        for item in _used(mixture):
            content = task.view.offered[node][item.id]
            if isinstance(content, str):
                texts.setdefault(node, {})[item.id] = to_lines(content)
            else:
                demos.setdefault(node, {})[item.id] = [encode_demo(demo) for demo in content]
    return TaskSpec(
        domain=task.view.domain,
        description=to_lines(task.description),
        signatures=changed_signatures(program),
        outputs={name: str(ref) for name, ref in program.outputs.items()},
        metric=jsonable(record.metric),
        sizes=dict(record.sizes),
        data=dict(record.data),
        texts=texts,
        demos=demos,
    )


def _task(name: str, artifact: Artifact, graph: ProgramGraph, items: Mapping[str, Item], types: Types) -> CompiledTask:
    spec = artifact.tasks[name]
    where = f"task {name!r}"
    if not _TASK_NAME.fullmatch(name):
        raise ArtifactError(f"{name!r} is no task name", expected="letters, digits, '_', '-' and dots")
    program = _task_program(graph, name, spec, types)
    mixtures = {
        node: decode_mixture(mixture, items, f"{where}, node {node!r}")
        for node, mixture in artifact.mixtures[name].items()
    }
    embedding = tuple(artifact.embedding.tasks[name])
    if len(embedding) != len(artifact.embedding.scale):
        raise ArtifactError(f"{where}: its embedding does not fit the basis", found=f"{len(embedding)} numbers")
    contents = _contents(spec, mixtures, items, where)
    _check_contents(program, contents, mixtures, where)
    view = TaskView(name, spec.domain, program, embedding, contents)
    return CompiledTask(view, from_lines(spec.description), mixtures)


def _task_program(graph: ProgramGraph, name: str, spec: TaskSpec, types: Types) -> TaskProgram:
    signatures = {node: each.signature for node, each in graph.nodes.items()}
    try:
        for node, signature in spec.signatures.items():
            if node not in signatures:
                raise ArtifactError(f"task {name!r} changes the signature of {node!r}, which is no node")
            signatures[node] = decode_signature(signature, node, types)
        graph.validate(signatures, f"task {name!r}")
        outputs = {key: _output(target, graph) for key, target in spec.outputs.items()}
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError(f"task {name!r} does not fit the graph", found=str(error).rstrip(".")) from error
    return TaskProgram(name, graph, signatures, outputs)


def _output(target: str, graph: ProgramGraph) -> InputRef | FieldRef:
    if "." in target:
        return graph.resolve(target)
    if target not in graph.inputs:
        raise ArtifactError(f"an output shows the input {target!r}, which there is not")
    return InputRef(target)


def _contents(spec: TaskSpec, mixtures: Mapping[str, Mixture], items: Mapping[str, Item], where: str) -> Contents:
    """The texts and demonstrations that the mixtures use, in their order, so that they are written in it again."""
    contents: Contents = {}
    for node, mixture in mixtures.items():
        texts, demos = spec.texts.get(node, {}), spec.demos.get(node, {})
        contents[node] = {}
        for each in _used(mixture):
            is_text = items[each.id].facet != "demos"
            if each.id not in (texts if is_text else demos):
                raise ArtifactError(f"{where}, node {node!r}: {each.id!r} is used, but what it says is not there")
            contents[node][each.id] = from_lines(texts[each.id]) if is_text else tuple(demos[each.id])
            there = 1 if is_text else len(demos[each.id])
            if each.amount > there:
                raise ArtifactError(
                    f"{where}, node {node!r}: more of {each.id!r} is used than there is",
                    expected=f"at most {there}",
                    found=str(each.amount),
                )
    for named in (spec.texts, spec.demos):
        for node, said in named.items():
            for item in said:
                if item not in contents.get(node, {}) or (named is spec.texts) != isinstance(contents[node][item], str):
                    raise ArtifactError(f"{where}, node {node!r}: {item!r} is there, but no mixture uses it so")
    return contents


def _check_contents(program: TaskProgram, contents: Contents, mixtures: Mapping[str, Mixture], where: str) -> None:
    for node in mixtures:
        signature = program.prompted(node)
        fields = set() if signature is None else set(signature.fields)
        for item, content in contents[node].items():
            what = f"{where}, node {node!r}, item {item!r}"
            if isinstance(content, str):
                try:
                    check_text(content, what)
                except FusionProgError as error:
                    raise ArtifactError("a text cannot be used", found=str(error).rstrip(".")) from error
            elif unknown := sorted({name for demo in content for name in demo} - fields):
                raise ArtifactError(f"{what}: a demonstration has the field {unknown[0]!r}, which the node has not")


def _used(mixture: Mixture) -> list[Weighted]:
    return [each for facet in mixture.facets for each in mixture.chosen(facet)]


def _basis(spec: EmbeddingSpec) -> Basis:
    if len(spec.components) != len(spec.scale) or any(len(row) != len(spec.centre) for row in spec.components):
        raise ArtifactError(
            "the embedding's basis does not fit together",
            expected=f"{len(spec.scale)} components of {len(spec.centre)} numbers",
        )
    shape = (len(spec.scale), len(spec.centre))
    return Basis(np.array(spec.centre), np.array(spec.components, dtype=float).reshape(shape), np.array(spec.scale))


def _check_names(part: str, found: Iterable[str], expected: Iterable[str], what: str) -> None:
    if set(found) != set(expected):
        raise ArtifactError(f"the {part} are of other {what}", expected=str(sorted(expected)), found=str(sorted(found)))


def _check_sizes(artifact: Artifact) -> None:
    """Types and signatures become classes, which are large; a program has few."""
    modules = [node.module for node in artifact.program.nodes]
    signatures: list[SignatureSpec] = [module.signature for module in modules if isinstance(module, ModuleSpec)]
    signatures += [signature for task in artifact.tasks.values() for signature in task.signatures.values()]
    fields = sum(len(signature.inputs) + len(signature.outputs) for signature in signatures)
    if len(signatures) > _MAX_SIGNATURES or fields > _MAX_FIELDS:
        raise ArtifactError(
            "the artifact is too large",
            expected=f"at most {_MAX_SIGNATURES:,} signatures with {_MAX_FIELDS:,} fields",
            found=f"{len(signatures):,} with {fields:,}",
        )
