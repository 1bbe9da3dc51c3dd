"""Compiled programs to and from artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from pydantic import JsonValue

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.graph_codec import (
    Functions,
    Types,
    changed_signatures,
    decode_graph,
    decode_signature,
    graph_spec,
)
from fusionprog.artifacts.pool_codec import decode_pool, encode_pool, facet_named
from fusionprog.artifacts.schema import (
    Artifact,
    CompileSpec,
    EmbeddingSpec,
    MixtureSpec,
    ScheduleSpec,
    TaskScoreSpec,
    TaskSpec,
)
from fusionprog.errors import ArtifactError, FusionProgError
from fusionprog.lm.model import LanguageModel
from fusionprog.program.graph import FieldRef, InputRef, ProgramGraph
from fusionprog.program.task import TaskProgram
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import Content, Facet, Item
from fusionprog.prompts.mixture import Mixture, Weighted
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import Comparison, CompileRecord, Score, TaskRecord
from fusionprog.runtime.render import TaskView

_DIGITS = 6


def encode_program(program: CompiledProgram) -> dict[str, Any]:
    """Returns a compiled program as the artifact's JSON data, with an empty hash.

    Raises:
        ProgramError: if a type of it cannot be kept in JSON.
    """
    record, schedule = program.record, program.schedule
    artifact = Artifact(
        program=graph_spec(program.graph),
        lm={node: dict(model.identity) for node, model in program.models.items()},
        pool=encode_pool(list(program.items.values())),
        tasks={name: _task_spec(task, record.tasks[name]) for name, task in program.tasks.items()},
        compile=CompileSpec(
            improved=record.improved,
            reason=record.reason,
            notes=list(record.notes),
            optimizer=dict(record.optimizer),
            seed=record.seed,
            trials=record.trials,
            spent=_rounded(dict(record.spent)),
            phases=dict(record.phases),
            fingerprint=record.fingerprint,
            versions=dict(record.versions),
        ),
        mixtures={
            name: {node: _mixture_spec(mixture) for node, mixture in task.mixtures.items()}
            for name, task in program.tasks.items()
        },
        schedule=_schedule_spec(schedule),
        scores={
            name: TaskScoreSpec.model_validate(
                _rounded(
                    {
                        "confirmation": asdict(record.tasks[name].confirmation),
                        "test": None if (test := record.tasks[name].test) is None else asdict(test),
                        "cost": {key: dict(value) for key, value in record.tasks[name].cost.items()},
                    }
                )
            )
            for name in program.tasks
        },
        embedding=EmbeddingSpec(
            embedder=dict(program.embedder),
            tasks={name: list(task.view.embedding) for name, task in program.tasks.items()},
            scale=program.basis.scale.tolist(),
            centre=program.basis.centre.tolist(),
            components=program.basis.components.tolist(),
        ),
        hash="",
    )
    return {
        "$schema": artifact.schema_name,
        "schema_version": artifact.schema_version,
        **artifact.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }


def decode_program(
    artifact: Artifact,
    models: Mapping[str, LanguageModel],
    types: Types,
    functions: Functions,
) -> CompiledProgram:
    """Returns the compiled program of an artifact.

    Args:
        artifact: The artifact.
        models: Node → model.
        types: The user's own classes by name.
        functions: What Function nodes call, by name.

    Raises:
        ArtifactError: if the artifact does not fit together.
    """
    graph = decode_graph(artifact.program, types, functions)
    items = decode_pool(artifact.pool)
    _same_tasks(artifact)
    tasks = {
        name: CompiledTask(
            view=TaskView(
                name,
                spec.domain,
                _task_program(graph, name, spec, types),
                tuple(artifact.embedding.tasks[name]),
                _contents(spec, items, name),
            ),
            description="\n".join(spec.description),
            mixtures={node: _mixture(mixture, items) for node, mixture in artifact.mixtures[name].items()},
        )
        for name, spec in artifact.tasks.items()
    }
    for name, task in tasks.items():
        _check_used(task, name)
    return CompiledProgram(
        graph=graph,
        items=items,
        schedule=_schedule(artifact.schedule),
        tasks=tasks,
        embedder=artifact.embedding.embedder,
        basis=Basis(
            np.array(artifact.embedding.centre),
            np.array(artifact.embedding.components).reshape(len(artifact.embedding.scale), -1),
            np.array(artifact.embedding.scale),
        ),
        record=_record(artifact),
        models=models,
    )


def _task_spec(task: CompiledTask, record: TaskRecord) -> TaskSpec:
    program = task.view.program
    texts: dict[str, dict[str, list[str]]] = {}
    demos: dict[str, dict[str, list[dict[str, JsonValue]]]] = {}
    for node, contents in task.view.offered.items():
        texts[node] = {item: text.splitlines() for item, text in contents.items() if isinstance(text, str)}
        demos[node] = {
            item: [cast(dict[str, JsonValue], jsonable(demo)) for demo in shown]
            for item, shown in contents.items()
            if not isinstance(shown, str)
        }
    return TaskSpec(
        domain=task.view.domain,
        description=task.description.splitlines(),
        signatures=changed_signatures(program),
        outputs={name: str(ref) for name, ref in program.outputs.items()},
        metric=cast(dict[str, JsonValue], jsonable(record.metric)),
        sizes=dict(record.sizes),
        data=dict(record.data),
        texts={node: each for node, each in texts.items() if each},
        demos={node: each for node, each in demos.items() if each},
    )


def _task_program(graph: ProgramGraph, name: str, spec: TaskSpec, types: Types) -> TaskProgram:
    signatures = {node: each.signature for node, each in graph.nodes.items()}
    try:
        for node, signature in spec.signatures.items():
            if node not in signatures:
                raise ArtifactError(f"task {name!r} changes the signature of {node!r}, which is no node")
            signatures[node] = decode_signature(signature, node, types)
        graph.validate(signatures, f"task {name!r}")
        outputs: dict[str, InputRef | FieldRef] = {
            key: FieldRef.parse(target) if "." in target else InputRef(target) for key, target in spec.outputs.items()
        }
        for ref in outputs.values():
            if isinstance(ref, FieldRef):
                graph.resolve(str(ref))
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError(f"task {name!r} does not fit the graph", found=str(error)) from error
    return TaskProgram(name, graph, signatures, outputs)


def _contents(spec: TaskSpec, items: Mapping[str, Item], task: str) -> dict[str, dict[str, Content]]:
    contents: dict[str, dict[str, Content]] = {}
    for node, texts in spec.texts.items():
        contents.setdefault(node, {}).update({item: "\n".join(lines) for item, lines in texts.items()})
    for node, demos in spec.demos.items():
        contents.setdefault(node, {}).update({item: tuple(shown) for item, shown in demos.items()})
    for node, mine in contents.items():
        for item, content in mine.items():
            if item not in items or (items[item].facet == "demos") == isinstance(content, str):
                raise ArtifactError(f"task {task!r}, node {node!r} uses {item!r}, which the pool does not offer so")
    return contents


def _check_used(task: CompiledTask, name: str) -> None:
    wanted = set(task.view.prompting_nodes)
    if set(task.mixtures) != wanted:
        raise ArtifactError(
            f"task {name!r} has mixtures for other nodes",
            expected=str(sorted(wanted)),
            found=str(sorted(task.mixtures)),
        )
    for node, mixture in task.mixtures.items():
        for facet in mixture.facets:
            for used in mixture.chosen(facet):
                content = task.view.offered.get(node, {}).get(used.id)
                if content is None or (not isinstance(content, str) and len(content) < used.amount):
                    raise ArtifactError(f"task {name!r}, node {node!r}: the text of {used.id!r} is not there")


def _same_tasks(artifact: Artifact) -> None:
    for part in ("mixtures", "scores"):
        if list(getattr(artifact, part)) != list(artifact.tasks):
            raise ArtifactError(f"the artifact's {part} are of other tasks", expected=str(list(artifact.tasks)))
    if list(artifact.embedding.tasks) != list(artifact.tasks):
        raise ArtifactError("the artifact's embeddings are of other tasks", expected=str(list(artifact.tasks)))


def _mixture_spec(mixture: Mixture) -> MixtureSpec:
    return MixtureSpec.model_validate(
        {
            "gates": _rounded({facet: gate for facet, gate in mixture.gates.items() if mixture.facets.get(facet)}),
            "facets": {
                facet: [
                    {
                        "item": each.id,
                        "amount": each.amount,
                        "open": each.open,
                        "weight": each.weight,
                        "effect": each.effect,
                    }
                    for each in items
                ]
                for facet, items in mixture.facets.items()
                if items
            },
        }
    )


def _mixture(spec: MixtureSpec, items: Mapping[str, Item]) -> Mixture:
    facets: dict[Facet, tuple[Weighted, ...]] = {}
    for facet, entries in spec.facets.items():
        for each in entries:
            if each.item not in items or items[each.item].facet != facet:
                raise ArtifactError(f"a mixture names {each.item!r}, which is no {facet} of the pool")
        facets[facet_named(facet, "a mixture")] = tuple(
            Weighted(each.item, each.weight, each.effect, each.open, each.amount) for each in entries
        )
    return Mixture(facets, {facet_named(facet, "a mixture"): gate for facet, gate in spec.gates.items()})


def _schedule_spec(schedule: Schedule) -> ScheduleSpec:
    return ScheduleSpec.model_validate(
        {
            "fusion": schedule.fusion,
            "as_written": list(schedule.as_written),
            "nodes": {
                node: {"format": each.format, "temperature": each.temperature, "gates": _rounded(dict(each.gates))}
                for node, each in schedule.nodes.items()
            },
            **{
                part: _rounded(getattr(schedule, part))
                for part in ("costs", "everywhere", "at_node", "in_task", "directions")
            },
        }
    )


def _schedule(spec: ScheduleSpec) -> Schedule:
    return Schedule(
        everywhere=spec.everywhere,
        at_node=spec.at_node,
        directions={
            node: {item: tuple(values) for item, values in mine.items()} for node, mine in spec.directions.items()
        },
        in_task=spec.in_task,
        costs=spec.costs,
        nodes={
            node: NodeSettings(each.temperature, _gates(each.gates, "the schedule"), each.format)
            for node, each in spec.nodes.items()
        },
        as_written=tuple(spec.as_written),
        fusion=spec.fusion,
    )


def _gates(gates: Mapping[str, float], where: str) -> dict[Facet, float]:
    return {facet_named(facet, where): gate for facet, gate in gates.items()}


def _record(artifact: Artifact) -> CompileRecord:
    tasks = {}
    for name, spec in artifact.tasks.items():
        scores = artifact.scores[name]
        tasks[name] = TaskRecord(
            confirmation=_comparison(scores.confirmation),
            test=None if scores.test is None else _comparison(scores.test),
            metric=spec.metric,
            cost=scores.cost,
            sizes=spec.sizes,
            data=spec.data,
        )
    made = artifact.compile
    return CompileRecord(
        tasks=tasks,
        improved=made.improved,
        reason=made.reason,
        trials=made.trials,
        spent=made.spent,
        phases=made.phases,
        seed=made.seed,
        optimizer=made.optimizer,
        models={node: str(identity.get("model", "")) for node, identity in artifact.lm.items()},
        versions=made.versions,
        fingerprint=made.fingerprint,
        notes=tuple(made.notes),
    )


def _comparison(spec: Any) -> Comparison:
    return Comparison(Score(**spec.before.model_dump()), Score(**spec.after.model_dump()), spec.gain, spec.se)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
