"""Compiled programs to and from artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from pydantic import ValidationError

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.graph_codec import Functions, decode_graph, graph_spec
from fusionprog.artifacts.learned_codec import learned_spec
from fusionprog.artifacts.lineage_codec import lineage_spec
from fusionprog.artifacts.pool_codec import decode_pool, encode_pool
from fusionprog.artifacts.record_codec import compile_spec, decode_record, growth_spec, score_spec
from fusionprog.artifacts.recorded_models import decode_models
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schedule_codec import decode_schedule, mixture_spec, schedule_spec
from fusionprog.artifacts.schema import (
    SCHEMA_NAME,
    SCHEMA_VERSION,
    Artifact,
    EmbeddingSpec,
    ModuleSpec,
    SignatureSpec,
)
from fusionprog.artifacts.signature_codec import Types
from fusionprog.artifacts.task_codec import decode_task, task_spec
from fusionprog.errors import ArtifactError, FusionProgError
from fusionprog.program.variants import options_of
from fusionprog.prompts.embedding import Basis
from fusionprog.runtime.compiled import CompiledProgram

_MAX_VIEWS = 20_000
_MAX_FIELDS = 200_000
_MOST_ERRORS = 10_000  # listing more would take more memory than the file


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
                "lm_as_written": {node: dict(identity) for node, identity in program.written_for.items()},
                "pool": encode_pool(list(program.items.values())),
                "tasks": {name: task_spec(task, record.tasks[name]) for name, task in program.tasks.items()},
                "compile": compile_spec(record),
                "mixtures": {
                    name: {node: mixture_spec(mixture) for node, mixture in task.mixtures.items()}
                    for name, task in program.tasks.items()
                },
                "schedule": schedule_spec(program.schedule, program.tasks),
                "growth": None if record.growth is None else growth_spec(record.growth),
                "learned": None if record.learned is None else learned_spec(record.learned, program.tasks),
                "lineage": lineage_spec(record.lineage),
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
    _check_size(artifact)
    graph = decode_graph(artifact.program, types, functions)
    asking = [name for name, node in graph.nodes.items() if node.asks_model]
    searched = [name for name, node in graph.nodes.items() if node.asks_model or options_of(node)]
    _check_names("models", artifact.lm, asking, "nodes")
    _check_names("models as written", [*artifact.lm_as_written, *asking], asking, "nodes")
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
            artifact.schedule, graph=graph, items=items, tasks=artifact.tasks, components=basis.size
        ),
        tasks={name: decode_task(name, artifact, graph, items, types) for name in artifact.tasks},
        embedder=artifact.embedding.embedder,
        basis=basis,
        record=decode_record(artifact, searched, items),
        models=decode_models(artifact.lm),
        models_as_written=decode_models(artifact.lm_as_written),
        compiled_for=artifact.lm,
        written_for=artifact.lm_as_written,
    )


def first_problem(error: ValidationError) -> str:
    """Returns where the first thing is that a schema refuses, and why."""
    if error.error_count() > _MOST_ERRORS:
        return f"{error.error_count():,} things that do not belong there"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{first['msg']} ({first['type']}) at {place!r}"


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


def _check_size(artifact: Artifact) -> None:
    """Every node becomes a class in every task, and classes are large."""
    nodes = [node.module for node in artifact.program.nodes]
    signatures = [each for module in nodes if isinstance(module, ModuleSpec) for each in _signatures(module)]
    signatures += [signature for task in artifact.tasks.values() for signature in task.signatures.values()]
    fields = sum(len(signature.inputs) + len(signature.outputs) for signature in signatures)
    views = len(nodes) * len(artifact.tasks)
    if views > _MAX_VIEWS or fields > _MAX_FIELDS:
        raise ArtifactError(
            "the program is too large",
            expected=f"at most {_MAX_VIEWS:,} for nodes times tasks, and {_MAX_FIELDS:,} fields",
            found=f"{views:,} and {fields:,}",
        )


def _signatures(module: ModuleSpec) -> list[SignatureSpec]:
    own = [] if module.signature is None else [module.signature]
    return [*own, *(each for part in module.modules for each in _signatures(part))]
