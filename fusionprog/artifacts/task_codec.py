"""Tasks to and from artifacts: what is different in them, and the texts and demonstrations that they use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.graph_codec import changed_signatures, decode_when, output_specs
from fusionprog.artifacts.schedule_codec import decode_mixture
from fusionprog.artifacts.schema import Artifact, OutputSpec, TaskSpec, WhenSource
from fusionprog.artifacts.signature_codec import Types, decode_signature
from fusionprog.artifacts.text import from_lines, to_lines
from fusionprog.artifacts.values import encode_demo
from fusionprog.errors import ArtifactError, FusionProgError
from fusionprog.program.graph import InputRef, ProgramGraph, Reference
from fusionprog.program.task import TaskProgram
from fusionprog.prompts.items import Content, Item, check_text
from fusionprog.prompts.mixture import Mixture, Weighted
from fusionprog.runtime.compiled import CompiledTask
from fusionprog.runtime.record import TaskRecord
from fusionprog.runtime.render import TaskView

_TASK_NAME = re.compile(r"\w[\w.-]*")  # as fusionprog.Task has it

Contents = dict[str, dict[str, Content]]


def task_spec(task: CompiledTask, record: TaskRecord) -> TaskSpec:
    """Returns a task as the artifact holds it: what its mixtures use of the pool, and no more."""
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
        outputs=output_specs(program.outputs),
        metric=jsonable(record.metric),
        sizes=dict(record.sizes),
        data=dict(record.data),
        texts=texts,
        demos=demos,
    )


def decode_task(
    name: str, artifact: Artifact, graph: ProgramGraph, items: Mapping[str, Item], types: Types
) -> CompiledTask:
    """Returns a task of an artifact.

    Raises:
        ArtifactError: if it does not fit the graph and the pool, or what its mixtures use is not there.
    """
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
        outputs = {key: _output(key, target, graph) for key, target in spec.outputs.items()}
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError(f"task {name!r} does not fit the graph", found=str(error).rstrip(".")) from error
    return TaskProgram(name, graph, signatures, outputs)


def _output(name: str, target: OutputSpec, graph: ProgramGraph) -> Reference:
    if isinstance(target, WhenSource):
        if graph.outputs.get(name) != decode_when(target, name, graph):
            raise ArtifactError(f"the output {name!r} is guarded in another way than the program's")
        return graph.outputs[name]
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
